"""The page of `degrain denoise --compare`: it is whole, it moves, and it loads nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from degrain.errors import OutputError
from degrain.inference import before_after
from degrain.ingest.formats.picture import Metadata, Picture
from tests.conftest import picture
from tests.report.test_report import browser, needs_browser  # noqa: F401  (a fixture)

COLOR = picture(0)
ODD = "<script>alert(1)</script> \"'&\u202e\udce9\n.png"


def shown(text: str) -> list[np.ndarray]:
    """The two pictures of a page: after and before."""
    found = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', text)
    assert len(found) == 2
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_both_pictures_are_there_as_they_are() -> None:
    before, after = Picture(COLOR, suffix=".png"), Picture(255 - COLOR, suffix=".png")
    text = before_after.render(before, after, "x.png", {"model": "m"})
    assert [np.array_equal(*pair) for pair in zip(shown(text), (255 - COLOR, COLOR), strict=True)] == [True, True]
    assert "128 x 96 pixels, color, 8 bits" in text
    assert "PNG, without loss" in text


def test_a_jpeg_is_shown_as_jpeg() -> None:
    made = Picture(COLOR, suffix=".jpg")
    text = before_after.render(made, made, "x.jpg", {})
    assert np.abs(shown(text)[0].astype(int) - COLOR).mean() < 2
    assert "JPEG, compressed anew" in text


def test_16_bits_transparency_and_gray_are_shown_as_browsers_can() -> None:
    deep = COLOR[..., :1].astype(np.uint16) * 257
    alpha = np.full(deep.shape[:2], 257 * 128, np.uint16)
    text = before_after.render(Picture(deep, alpha), Picture(deep, alpha), "x.tif", {})
    assert np.array_equal(shown(text)[0], np.dstack([COLOR[..., 0], np.full(deep.shape[:2], 128)]))
    assert "gray, 16 bits" in text
    assert "16 bits became 8" in text


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_light_is_shown_by_the_curve_of_srgb(dtype: type) -> None:
    levels = np.array([0, 0.001, 0.0031308, 0.18, 0.5, 1]) * np.iinfo(dtype).max
    ramp = np.rint(levels).astype(dtype)[None, :, None]
    made = Picture(ramp, light="linear", metadata=Metadata(gamma=1.0))
    text = before_after.render(made, made, "x.tif", {})
    exact = ramp[0, :, 0] / np.iinfo(dtype).max
    expected = [255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055) for v in exact]
    assert np.array_equal(shown(text)[0][0], np.rint(expected))
    assert "linear light became sRGB" in text


def test_nothing_private_is_in_the_page() -> None:
    private = Metadata(exif=b"II*\0\x08\0\0\0\0\0", xmp=b"<secret/>", comment=b"secret", texts=b"")
    made = Picture(COLOR, metadata=private, suffix=".jpg")
    text = before_after.render(made, made, "x.jpg", {})
    for data in re.findall(r'base64,([^"]+)"', text):
        content = base64.b64decode(data)
        assert b"secret" not in content
        assert b"Exif" not in content


def test_names_are_escaped() -> None:
    made = Picture(COLOR)
    text = before_after.render(made, made, ODD, {"model": f"models:/{ODD}"})
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &#34;&#39;&amp;\\u202e\\udce9\\n.png" in text
    text.encode()


def test_the_page_names_no_other_address() -> None:
    made = Picture(COLOR)
    text = re.sub(r'"data:[^"]*"', '""', before_after.render(made, made, "x.png", {}))
    assert not re.findall(r"https?:|//[a-z]|@import|url\(", text)
    assert "default-src 'none'" in text


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    page, made = tmp_path / "page.html", Picture(COLOR)
    page.write_text("not ours")
    with pytest.raises(OutputError, match=r"page\.html is there already: it appeared meanwhile, and is not replaced"):
        before_after.write(page, made, made, "x.png", {}, force=False)
    assert list(tmp_path.iterdir()) == [page]
    before_after.write(page, made, made, "x.png", {}, force=True)
    assert page.read_text().startswith("<!doctype html>")


@needs_browser
@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_page_works_in_a_browser(tmp_path: Path, browser: Any) -> None:  # noqa: F811
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    wide = np.tile(COLOR, (8, 16, 1))  # 768 x 2048 pixels
    page = tmp_path / "page.html"
    before_after.write(page, Picture(wide), Picture(255 - wide), ODD, {"model": "m"}, force=False)
    browser.get(page.as_uri())
    assert "<script>alert(1)</script>" in browser.title
    slider, view = browser.find_element(By.ID, "share"), browser.find_element(By.CSS_SELECTOR, ".view")
    stage, noisy = view.find_element(By.CSS_SELECTOR, ".stage"), view.find_element(By.CSS_SELECTOR, ".noisy")
    edge = browser.find_element(By.CSS_SELECTOR, ".edge")

    def cut() -> float:
        return float(browser.execute_script("return parseFloat(arguments[0].style.getPropertyValue('--cut'))", stage))

    # It fits, and the slider moves by keys and by dragging the line.
    assert stage.size["width"] <= view.size["width"]
    assert abs(cut() - stage.size["width"] / 2) < 2
    slider.send_keys(Keys.HOME)
    assert (cut(), slider.get_attribute("aria-valuetext")) == (0, "0 % noisy")
    assert noisy.value_of_css_property("clip-path").startswith("inset(0px ")
    slider.send_keys(Keys.END)
    assert abs(cut() - stage.size["width"]) < 1
    ActionChains(browser).drag_and_drop_by_offset(edge, -view.size["width"] // 2, 0).perform()
    assert 45 < float(slider.get_attribute("value")) < 55

    # At 1:1 and larger the picture is moved, and the line stays where it is in the window.
    for zoom in (1, 4):
        browser.find_element(By.CSS_SELECTOR, f"[data-zoom='{zoom}']").click()
        ratio = browser.execute_script("return devicePixelRatio")
        assert stage.size == {"width": 2048 * zoom / ratio, "height": 768 * zoom / ratio}
        at, place = cut(), edge.location
        moved = browser.execute_script("arguments[0].scrollLeft += 100; return arguments[0].scrollLeft", view)
        assert moved > 0
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        assert abs(cut() - at - 100) < 2
        assert edge.location == place
    pressed = "return [...document.querySelectorAll('[aria-pressed=true]')].map(button => button.textContent)"
    assert browser.execute_script(pressed) == ["4:1"]
    for key, expected in (("+", "8:1"), ("+", "8:1"), ("-", "4:1"), ("0", "Fit")):
        view.send_keys(key)
        assert browser.execute_script(pressed) == [expected]

    # Every picture is there and described, nothing complains, nothing is loaded from elsewhere.
    assert browser.execute_script("return [...document.images].every(i => i.naturalWidth === 2048 && i.alt)")
    assert view.accessible_name.endswith("noisy at the left of the line, denoised at the right")
    assert slider.accessible_name == "Share shown noisy"
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = {
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    }
    own = ("data:", "chrome:", "chrome-untrusted:")
    assert {url for url in requested if not url.startswith(own)} == {page.as_uri()}
