"""The report in a real browser: it is whole, it moves, and it loads nothing from elsewhere."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from degrain import figures, files
from degrain.errors import DataError, ValidationFailed
from degrain.params.study import Params
from degrain.report import html, published
from degrain.report.embedding import data_uri
from tests.artifacts import records
from tests.conftest import MIRROR, Project, Whole, merged, picture, save
from tests.ingest.datasets.test_catalog import composed, needs_mirror

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER) and not os.environ.get("CI"),
    reason="needs chromium and chromedriver: apt-get install chromium chromium-driver",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@needs_browser
@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_report_works_in_a_browser(reproduced: Project, browser: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page = (reproduced.folder / "results" / "report.html").as_uri()
    browser.get(page)
    assert browser.title == "Tiny <study> & test - degrain"

    # The slider moves: with the pointer's value and with the keys.
    figure = browser.find_element(By.CSS_SELECTOR, ".photograph[data-photograph=chelsea]")
    slider = figure.find_element(By.CSS_SELECTOR, "[type=range]")
    noisy = figure.find_element(By.CSS_SELECTOR, ".pane.noisy")
    at_half = noisy.value_of_css_property("clip-path")
    slider.send_keys(Keys.HOME)
    assert slider.get_attribute("value") == "0"
    at_start = noisy.value_of_css_property("clip-path")
    slider.send_keys(Keys.END)
    at_end = noisy.value_of_css_property("clip-path")
    assert len({at_half, at_start, at_end}) == 3

    # The right-hand side can be the clean original.
    figure.find_element(By.CSS_SELECTOR, "input[value=clean]").click()
    assert figure.find_element(By.CSS_SELECTOR, ".pane.clean").is_displayed()
    assert not figure.find_element(By.CSS_SELECTOR, ".pane.denoised").is_displayed()

    # Every picture is really there.
    broken = (
        "const [done] = arguments; Promise.all([...document.images].map(i => { i.loading = 'eager'; "
        "return i.decode().then(() => '', () => i.alt); })).then(all => done(all.filter(Boolean)))"
    )
    assert browser.execute_async_script(broken) == []
    assert len(browser.find_elements(By.CSS_SELECTOR, "img.drawing")) == 2 + 2
    assert len(browser.find_elements(By.CSS_SELECTOR, "tr.champion")) == 1
    assert len(browser.find_elements(By.CSS_SELECTOR, "#ranking tbody tr")) == 4 + 2 + 2

    # Nothing complains, nothing is loaded from elsewhere.
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = {
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in requested if not url.startswith(("data:", "chrome:", "chrome-untrusted:"))} == {page}


def test_the_report_names_no_other_address(reproduced: Project) -> None:
    text = (reproduced.folder / "results" / "report.html").read_text()
    text = re.sub(r'"data:[^"]*"', '""', text)
    links = set(re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^")\s>]+)', text))
    inside = {link for link in links if link.startswith("#")}
    assert {link for link in inside if f'id="{link[1:]}"' not in text} == set()
    pages = links - inside
    assert {page.split("/")[2] for page in pages if not page.startswith("figures/")} == {"photos", "photos-counts"}
    assert all((reproduced.folder / "results" / unquote(page)).is_file() for page in pages)


def test_text_from_the_study_is_escaped(reproduced: Project) -> None:
    text = (reproduced.folder / "results" / "report.html").read_text()
    assert "Tiny &lt;study&gt; &amp; test" in text
    assert "Tiny <study>" not in text


def test_the_report_says_what_made_it(reproduced: Project) -> None:
    import torch

    text = (reproduced.folder / "results" / "report.html").read_text()
    commit = reproduced.run("git", "rev-parse", "--short=12", "HEAD").stdout.strip()
    assert f"commit {commit}." in text
    assert torch.__version__.split("+")[0] in text


def test_figures_are_the_same_every_time_and_keep_empty_cells_empty() -> None:
    cells = [records.cell(psnr=30.123)]
    outcomes = {("adam", "mse"): "done", ("adam", "mae"): "diverged", ("adadelta", "mae"): "failed"}
    trials = [records.trial(optimizer=cell[0], loss=cell[1], state=state) for cell, state in outcomes.items()]
    drawing = figures.heat_map(cells, trials)
    assert drawing == figures.heat_map(cells, trials)
    assert drawing.startswith("<svg")
    assert drawing.count("30.12") == 1
    assert [drawing.count(f">{word}<") for word in ("-", "diverged", "failed", "done")] == [1, 1, 1, 0]


def test_learning_curves_of_a_large_grid_have_one_panel_a_loss_and_one_key() -> None:
    histories, trials = {}, {}
    for optimizer in ("adam", "sgd"):
        for loss in ("mse", "mae", "bce", "huber", "psnr"):
            label = f"{optimizer}-{loss}"
            values = {name: [2.0, -1.0 if loss == "psnr" else 1.0] for name in ("train_loss", "val_loss", "val_psnr")}
            histories[label] = pd.DataFrame({"epoch": [1, 2], **values})
            trials[label] = records.trial(optimizer=optimizer, loss=loss)
    drawing = figures.learning_curves(histories, trials)
    assert [drawing.count(f">{loss}<") for loss in ("mse", "mae", "bce", "huber", "psnr")] == [1] * 5
    assert [drawing.count(f">{curve}<") for curve in ("validation", "training", "published")] == [1, 1, 0]
    assert [drawing.count(f">{name}<") for name in ("adam", "sgd")] == [1, 1]
    assert drawing == figures.learning_curves(histories, trials)


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        ({"kind": "gaussian", "sigma": 1.0, "clip": True}, "gaussian, sigma 1.0"),
        (
            {"kind": "coefficient", "factor": 1, "mean": 0, "clip": False},
            "coefficient, factor 1.0, mean 0.0, clip False",
        ),
        ({"kind": "gaussian", "sigma": [5, 50]}, "gaussian, sigma 5.0 to 50.0"),
    ],
)
def test_the_noise_is_told_with_its_numbers(
    make_params: Callable[..., Params], noise: dict[str, Any], words: str
) -> None:
    assert html._options(make_params(prepare={"noise": Whole(**noise)}).prepare.noise) == words


def test_published_curves_lie_under_those_of_the_same_optimizer_and_loss() -> None:
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "val_loss": [2.0, 1.0], "val_psnr": [9.0, 10.0]})
    trials = {"adam-mse": records.trial()}
    plain = figures.learning_curves({"adam-mse": history}, trials)
    theirs = {"adam mse": [3.0, 2.5], "sgd mse": [30.0, 20.0]}
    titled = {"adam-mse": records.trial(optimizer="Adam")}
    assert ">published<" in figures.learning_curves({"adam-mse": history}, titled, published=theirs)
    drawn = figures.learning_curves({"adam-mse": history}, trials, published=theirs)
    dotted = re.compile(r"stroke-dasharray: 1\.5")
    assert (len(dotted.findall(plain)), len(dotted.findall(drawn))) == (0, 1 + 1)  # and the key
    assert ">published<" in drawn
    assert drawn.index("stroke-dasharray: 1.5") < drawn.index("stroke-dasharray: 3.7"), "what comes first lies below"
    others = figures.learning_curves({"adam-mse": history}, trials, published={"sgd mse": [30.0, 20.0]})
    assert (len(dotted.findall(others)), ">published<" in others) == (0, False)


@needs_mirror
def test_every_pair_of_sinha_2018_has_a_published_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEGRAIN_MIRROR", str(MIRROR))
    params = Params.model_validate(composed("sinha2018"))
    curves = published.read(params.report.published)
    assert set(curves) == {pair.replace("-", " ") for pair in params.train.pairs}
    assert {len(curve) for curve in curves.values()} == {params.train.epochs}


def test_losses_have_a_logarithmic_or_a_linear_scale() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [2.0, 1.0], "val_loss": [200.0, 1.0], "val_psnr": [9.0, 10.0]}
    )
    drawings = [figures.learning_curves({"a": history}, {"a": records.trial()}, scale) for scale in ("log", "linear")]
    assert [("10^{2}" in text or "10<" in text, ">200<" in text) for text in drawings] == [(True, False), (False, True)]


def test_pictures_side_by_side_keep_every_pixel() -> None:
    pictures = [picture(seed, 20, 30) for seed in (0, 1, 2)]
    joined = np.asarray(Image.open(io.BytesIO(figures.side_by_side(pictures))))
    assert joined.shape == (20, 3 * 30 + 2 * 8, 3)
    assert all(
        np.array_equal(joined[:, at : at + 30], pixels) for at, pixels in zip((0, 38, 76), pictures, strict=True)
    )


@pytest.mark.slow
def test_a_study_of_several_cameras_shows_each(reproduced: Project, tmp_path: Path) -> None:
    assert "By camera" not in reproduced.read("results/report.html").decode()
    project = Project(Path(shutil.copytree(reproduced.folder, tmp_path / "cameras", symlinks=True)))
    manifest = project.folder / "data" / "validated" / "manifest.parquet"
    images = pd.read_parquet(manifest)
    images["camera"] = images["path"].map(lambda path: "<G4>" if "chelsea" in path else "S6")
    manifest.unlink()  # it may be a link into DVC's cache
    images.to_parquet(manifest, index=False)
    for record in (manifest.with_name("validation.json"), project.folder / "data" / "prepared" / "store.json"):
        records.rewrite(record, manifest_sha256=files.sha256(manifest))
    for stage in ("evaluate", "report"):
        done = project.run("degrain", stage)
        assert done.returncode == 0, done.stderr
    text = project.read("results/report.html").decode()
    section = text[text.index('<section id="cameras">') :]
    section = section[: section.index("</section>")]
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", section)
    assert [re.sub(r"<.*?>", "", head) for head in heads] == ["method", "optimizer, loss", "&lt;G4&gt;", "S6"]
    scores = pd.read_parquet(project.folder / "data" / "evaluated" / "scores.parquet")
    patches = scores.query("split == 'test' and item == 'patch' and method == 'identity' and metric == 'psnr'")
    means = patches.groupby(patches["image"].str.contains("chelsea"))["value"].mean()
    number = r"<td([^>]*)>([0-9.]+)</td>"
    rows = re.findall(rf"<tr><th scope=\"row\">(.*?)</th>.*?{number}{number}</tr>", section, re.DOTALL)
    assert rows[0] == ("Noisy input", "", f"{means[True]:.2f}", "", f"{means[False]:.2f}")
    ranked = json.loads(project.read("data/evaluated/ranking.json"))
    assert len(rows) == 1 + len(ranked["baselines"]) + len(ranked["cells"])
    (_, _, left, _, right), *others = rows
    marks = [
        (mark, float(value) < float(noisy))
        for row in others
        for mark, value, noisy in ((*row[1:3], left), (*row[3:], right))
    ]
    assert all(mark == (' class="bad"' if worse else "") for mark, worse in marks)


def test_every_figure_is_a_file_too(reproduced: Project) -> None:
    folder = reproduced.folder / "results" / "figures"
    names = {path.name for path in folder.iterdir()}
    per_model = {
        f"{model}-{figure}.svg" for model in ("sinha2018", "unet") for figure in ("learning_curves", "heat_map")
    }
    assert names == {*per_model, "patches.png", "photograph-astronaut.png", "photograph-chelsea.png"}
    with Image.open(folder / "photograph-chelsea.png") as image:
        assert image.size == (3 * 451 + 2 * 8, 300)
    text = (reproduced.folder / "results" / "report.html").read_text()
    assert data_uri((folder / "unet-heat_map.svg").read_bytes(), "svg+xml") in text
    assert text.count("sharpened") >= 2


def test_published_curves_come_from_the_mirror_or_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEGRAIN_MIRROR", raising=False)
    assert published.read("papers/curves.json") == {}
    monkeypatch.setenv("DEGRAIN_MIRROR", str(tmp_path))
    assert published.read("papers/curves.json") == {}
    file = tmp_path / "papers" / "curves.json"
    file.parent.mkdir()
    file.write_text('{"Adam MSE": {"train": [3], "val": [2, 1.5]}}')
    assert published.read("papers/curves.json") == {"adam mse": [2.0, 1.5]}
    assert published.read("") == {}
    for broken in ("[1]", "{", '{"Adam MSE": {"train": [3]}}', '{"Adam MSE": {"val": ["x"]}}'):
        file.write_text(broken)
        with pytest.raises(DataError, match="holds no curves"):
            published.read("papers/curves.json")


HOSTILE = ("<img src=x onerror=window.hacked=1>", "<script>window.hacked=1", "$a ${b} &amp; 'x' \"y\"", "{{ 7*7 }}")


@pytest.mark.slow
@needs_browser
@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_names_of_images_are_text_in_the_data_docs(
    tmp_path: Path, run_stages: Callable[..., Params], browser: Any
) -> None:
    from selenium.webdriver.common.by import By

    for number, name in enumerate(HOSTILE):
        for copy in ("", "2"):
            save(tmp_path / "photos" / f"{name}{copy}.png", picture(number))
    made = composed("folder")
    made["data"]["path"] = str(tmp_path / "photos")
    with pytest.raises(ValidationFailed):
        run_stages(merged(made, {"validate": {"min_side": 1000}}), "download", "validate")
    pages = sorted((tmp_path / "results" / "validation").rglob("*.html"))
    assert len(pages) > 4
    shown = ""
    for page in pages:
        browser.get(page.as_uri())
        assert browser.execute_script("return window.hacked") is None, page
        shown += browser.find_element(By.TAG_NAME, "body").get_attribute("textContent")
    for name in HOSTILE:
        assert name in shown
