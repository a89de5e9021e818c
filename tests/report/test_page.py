"""The page of large and of odd studies: it stays small, and people can find, sort, enlarge and hear what it shows."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from degrain import figures
from degrain.report import embedding
from tests.conftest import grainy
from tests.report.materials import Draft
from tests.report.test_report import browser, needs_browser  # noqa: F401  (a fixture)


def shown(address: str) -> np.ndarray:
    """The pixels behind an address."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


@pytest.mark.parametrize("shape", [(40, 50, 3), (1300, 700), (3, 2000, 3)])
@pytest.mark.parametrize("budget", [900, 40_000, 9_000_000])
def test_pictures_are_whole_or_their_middle_is_without_loss(shape: tuple[int, ...], budget: int) -> None:
    pixels = grainy(0, *shape[:2], channels=3)[..., : 3 if len(shape) == 3 else 1].squeeze()
    cut = embedding.within([pixels, 255 - pixels], budget)
    assert sum(map(len, cut.addresses)) <= budget
    first, second = map(shown, cut.addresses)
    assert first.shape[:2] == (cut.height, cut.width)
    top, left = (pixels.shape[0] - cut.height) // 2, (pixels.shape[1] - cut.width) // 2
    expected = pixels[top : top + cut.height, left : left + cut.width]
    assert np.array_equal(first, expected)
    assert np.array_equal(second, 255 - expected)
    whole = sum(len(embedding.data_uri(embedding.png(one))) for one in (pixels, 255 - pixels))
    assert (first.shape == pixels.shape) == (whole <= budget)


def test_a_cut_fills_most_of_its_budget() -> None:
    cut = embedding.within([grainy(0, 900, 1200)], 1_000_000)
    assert 800_000 < len(cut.addresses[0]) <= 1_000_000


def test_what_is_left_out_is_evenly_spaced_or_the_last() -> None:
    assert figures.evenly(3, 8) == [0, 1, 2]
    assert figures.evenly(40, 8)[::7] == [0, 39]
    assert len(set(figures.evenly(40, 8))) == 8
    assert figures.evenly(0, 8) == []
    assert [embedding.fitting([4, 3, 2], budget) for budget in (3, 4, 8, 9)] == [0, 1, 2, 3]


def test_a_small_study_is_shown_whole(tmp_path: Path, quickstart: dict[str, Any]) -> None:
    text = Draft(tmp_path, quickstart).report()
    for words in (
        "photographs are shown",
        "patches are shown",
        ": the middle",
        "patch the middle",
        "too large for this page",
        "are drawn",
    ):
        assert words not in text


@pytest.mark.slow
def test_a_report_of_300_trials_and_40_photographs_is_below_10_mb(tmp_path: Path, quickstart: dict[str, Any]) -> None:
    pictures: dict[str, Any] = {"photographs": 40, "size": (512, 512), "patch": 64, "strips": 24}
    text = Draft(tmp_path, quickstart, 300, failed=25, epochs=200, images=999, **pictures).report()
    assert 5_000_000 < len(text.encode()) < 10_000_000
    assert text.count('<tr class="network') == 300
    assert "300 of 325 trials are done" in text
    assert "And 5 more; <code>degrain trials</code> lists them all." in text
    assert "8 of 40 photographs are shown" in text
    assert len(set(re.findall(r'href="figures/photograph-photo-\d+\.png"', text))) == 8
    assert re.search(r"\d of 24 patches are shown", text)
    assert "evenly spaced epochs are drawn, at least 60" in text
    assert "60 of 999 images" in text


def test_every_head_and_every_marked_word_leads_to_what_it_means(tmp_path: Path, quickstart: dict[str, Any]) -> None:
    text = Draft(tmp_path, quickstart, 9, models=("unet",)).report()
    targets = set(re.findall(r'href="#term-([^"]+)"', text))
    defined = Counter(re.findall(r'<dt id="term-([^"]+)"', text))
    assert targets == set(defined)
    assert set(defined.values()) == {1}
    table = text[text.index('<table id="ranking-table"') :]
    heads = re.findall(r'<th scope="col".*?</th>', table[: table.index("<tbody>")])
    assert len(heads) == 10
    assert all('<a class="term"' in head for head in heads)


def test_a_report_of_linear_light_says_how_it_is_shown(tmp_path: Path, quickstart: dict[str, Any]) -> None:
    text = Draft(tmp_path, quickstart, 1, channels=4, light="linear").report()
    assert "Linear light is shown by the curve of sRGB." in text
    assert "colors are the sensor's own" in text


@pytest.mark.slow
@needs_browser
@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_report_can_be_read_and_used_by_everybody(
    tmp_path: Path,
    quickstart: dict[str, Any],
    browser: Any,  # noqa: F811
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page = tmp_path / "report.html"
    draft = Draft(tmp_path, quickstart, 40, failed=1, photographs=2, size=(400, 600), models=("unet",))
    page.write_text(draft.report())

    # Nothing is cut off, and axe finds no fault: on a phone and on a wide screen, light and dark.
    for width, scheme in ((390, "dark"), (2560, "light"), (2560, "dark"), (390, "light")):
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        colors = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", colors)
        browser.get(page.as_uri())
        root = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(root) == 0, width
        assert faults(browser) == [], (width, scheme)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    # The ranking sorts by the keyboard, and says how; what has no number is last, whichever way.
    table = browser.find_element(By.ID, "ranking-table")
    head = table.find_element(By.XPATH, ".//th[@data-name='SSIM of test patches']")
    button = head.find_element(By.TAG_NAME, "button")
    assert button.accessible_name == "Sort by SSIM of test patches"
    column = "return [...arguments[0].tBodies[0].rows].map(row => parseFloat(row.cells[arguments[1]].textContent))"
    for order, sign in (("descending", -1), ("ascending", 1)):
        button.send_keys(Keys.ENTER)
        assert head.get_attribute("aria-sort") == order
        values = np.array(browser.execute_script(column, table, 5)) * sign
        assert (np.diff(values) >= 0).all()
    weights = table.find_element(By.XPATH, ".//button[@aria-label='Sort by weights']")
    for _ in range(2):
        weights.send_keys(Keys.ENTER)
        assert [value is None for value in browser.execute_script(column, table, 8)] == [False] * 40 + [True] * 7
    assert len(table.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1

    # It filters by every word, those of a trial's name too.
    search = browser.find_element(By.CSS_SELECTOR, ".filter input")
    search.send_keys("unet-adam-mse")
    rows = "return [...arguments[0].tBodies[0].rows].filter(row => row.offsetHeight).map(row => row.dataset.trial)"
    assert browser.execute_script(rows, table) == ["unet-adam-mse"]
    assert browser.find_element(By.CSS_SELECTOR, ".filter output").text == "1 of 47 rows"
    search.clear()
    search.send_keys("SGD net")
    assert len(browser.execute_script(rows, table)) == 5

    # All three pictures show the same place at the same size: by buttons, by keys, by dragging; and each pixel is one.
    figure = browser.find_element(By.CSS_SELECTOR, ".photograph")
    views = figure.find_element(By.CSS_SELECTOR, ".views")
    figure.find_element(By.CSS_SELECTOR, "[value=all]").click()
    images = views.find_elements(By.TAG_NAME, "img")

    def places() -> set[tuple[int, int, int]]:
        script = (
            "return arguments[0].map(i => { const a = i.getBoundingClientRect(), b = i.parentElement"
            ".getBoundingClientRect(); return [a.left - b.left, a.top - b.top, a.width].map(Math.round); })"
        )
        return {tuple(place) for place in browser.execute_script(script, images)}

    assert len(places()) == 1
    for zoom in (1, 4):
        figure.find_element(By.CSS_SELECTOR, f"[data-zoom='{zoom}']").click()
        assert {width for *_, width in places()} == {600 * zoom}
    assert {image.value_of_css_property("image-rendering") for image in images} == {"pixelated"}
    ((left, top, _),) = places()
    views.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    ((moved, lower, _),) = places()
    assert (moved < left, lower < top) == (True, True)
    ActionChains(browser).drag_and_drop_by_offset(images[1], 30, 20).perform()
    assert places() == {(moved + 30, lower + 20, 2400)}
    for key, expected in (("-", "1:1"), ("0", "Fit"), ("+", "1:1")):
        views.send_keys(key)
        pressed = figure.find_elements(By.CSS_SELECTOR, "[aria-pressed=true]")
        assert [button.text for button in pressed] == [expected]

    # Printed, all three pictures stand beside each other, whole, and every row of the tables.
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert {left for left, *_ in places()} == {0}
    assert len({image.rect["x"] for image in images}) == 3
    assert not figure.find_element(By.CSS_SELECTOR, ".tools").is_displayed()
    assert browser.get_log("browser") == []


def faults(browser: Any) -> list[str]:  # noqa: F811
    """What axe finds wrong with a page by WCAG 2.0 and 2.1, levels A and AA."""
    from axe_core_python.selenium import Axe

    found = Axe().run(browser, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert len(found["passes"]) > 10
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:200]}" for fault in found["violations"]]
