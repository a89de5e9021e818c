"""SIDD in the literature: in the reports of studies on SIDD's own noise, and only there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from degrain.params.study import Params, load_params
from degrain.report import gallery, html, leaderboard
from degrain.report.literature import SIDD
from degrain.report.material import Material, gather
from degrain.stages import DATA_DOCS, EVALUATED, PREPARED, REPORT, TRIALS, VALIDATED
from tests.artifacts import records
from tests.conftest import Project, Whole, merged
from tests.report.materials import Draft

Make = Callable[..., Material]


@pytest.fixture
def material(tmp_path: Path, tiny: dict[str, Any]) -> Make:
    """What a report of three cells is made of."""

    def made(dataset: str = "sidd-small", channels: int = 3, noise: str = "real", **classical: float) -> Material:
        study = merged(tiny, {"data": {"dataset": dataset}, "prepare": {"noise": Whole(kind=noise)}})
        unet = [
            records.cell("unet", optimizer, psnr, parameters=134_284) for optimizer, psnr in (("adam", 33), ("sgd", 30))
        ]
        ranked = records.ranking(
            *unet,
            records.cell("opengenus2019", "adam", 20, parameters=9),
            identity=records.scores(24),
            baselines={name: {"settings": {}, "scores": records.scores(psnr)} for name, psnr in classical.items()},
        )
        return replace(Draft(tmp_path, study, channels=channels).material(), ranking=ranked)

    return made


def test_a_study_s_rows_are_its_networks_the_best_classical_denoiser_and_the_noisy_input(material: Make) -> None:
    board = leaderboard.sidd(material(nlm=28, median=27))
    assert board is not None
    rows = [(row.method, row.psnr, row.ssim, row.parameters, row.gmacs) for row in board.ours]
    assert rows == [
        ("U-Net", 33, 0.66, 0.134284, pytest.approx(67.895296 * 16 / 1000)),  # docs/models.md, 64x64 pixels
        ("OpenGenus", 20, 0.4, 9e-6, None),  # takes images of one size only
        ("Non-local means", 28, 0.56, None, None),
        ("Noisy input", 24, 0.48, None, None),
    ]
    without = leaderboard.sidd(material())
    assert without is not None
    assert [row.method for row in without.ours] == ["U-Net", "OpenGenus", "Noisy input"]


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": "photos"},
        {"dataset": "sidd-small-raw", "channels": 4},
        {"channels": 1},
        {"noise": "gaussian"},
    ],
)
def test_other_studies_have_no_such_section(material: Make, other: dict[str, Any]) -> None:
    assert leaderboard.sidd(material(**other)) is None


def test_published_numbers_have_a_source_and_stand_in_order() -> None:
    assert [row.psnr for row in SIDD] == sorted((row.psnr for row in SIDD), reverse=True)
    assert len({row.method for row in SIDD}) == len(SIDD)
    for row in SIDD:
        assert 37 < row.psnr < 41
        assert 0.9 < row.ssim < 1
        assert str(row.year) in row.source


@pytest.fixture
def reported(reproduced: Project, monkeypatch: pytest.MonkeyPatch) -> Material:
    """What the report of the reproduced study is made of."""
    monkeypatch.chdir(reproduced.folder)
    places = (VALIDATED, PREPARED, TRIALS, EVALUATED, DATA_DOCS, REPORT)
    return gather(load_params(Path("params.yaml")), *places)


def as_if_on_sidd(material: Material) -> Material:
    """The same results, as if the images were those of SIDD with noise of their own."""
    study = material.params.model_dump(mode="json", by_alias=True)
    study["data"]["dataset"], study["prepare"]["noise"] = "sidd-small", {"kind": "real"}
    params = Params.model_validate(study)
    record = material.store.record.model_copy(update={"params": params.prepare})
    return replace(material, params=params, store=replace(material.store, record=record))


def test_the_report_of_a_study_on_sidd_has_the_section(reported: Material) -> None:
    drawn = gallery.draw(reported)
    assert "SIDD in the literature" not in html.render(reported, drawn)
    material = as_if_on_sidd(reported)
    text = html.render(material, drawn)
    section = text[text.index('<section id="literature">') :]
    section = section[: section.index("</section>")]
    ours, literature = re.findall(r"<tbody>(.*?)</tbody>", section, re.DOTALL)
    store = material.store
    assert ours.count("<tr") == 1 + 2 + 1 + 1
    assert f"<td>{material.ranking.identity['test_psnr']:.2f}</td>" in ours
    assert ours.count('class="champion"') == 1
    assert literature.count("<tr") == 1 + len(SIDD)
    assert f"its {store.record.counts['test']} test patches of {store.record.params.patch_size} pixels" in section
