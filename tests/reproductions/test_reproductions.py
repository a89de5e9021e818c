"""Claims against measurements: claims belong to studies, records hold what was measured, the page is made of both."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from degrain import files
from degrain.artifacts import history, ranking, scores
from degrain.artifacts.code import Code
from degrain.artifacts.history import Epoch
from degrain.artifacts.metrics import Metrics
from degrain.artifacts.ranking import Baseline, Cell, Ranking, Validation
from degrain.artifacts.report import ReportRecord
from degrain.artifacts.reproduction import ReproducedTrial, Reproduction, Sharpened, Versions
from degrain.artifacts.scores import Conditions, Measured
from degrain.artifacts.sidd_validation import BlockScores, SiddValidation
from degrain.artifacts.trial import HISTORY, TRIAL, WEIGHTS, TrialRecord
from degrain.errors import DataError, ParamsError
from degrain.evaluation import protocol, results, summary
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.report import shown
from degrain.reproductions.claims import Claim, read
from degrain.reproductions.page import TABLES, tables, write
from degrain.reproductions.recording import Reported, record
from degrain.trials import of_study
from tests.artifacts import records
from tests.conftest import ROOT, merged
from tests.ingest.datasets.test_catalog import composed
from tests.trials.test_of_study import lay_out

FOLDER = ROOT / "docs" / "reproductions"
CLAIM = {
    "paper": "Somebody 2020",
    "what": "digits, loss after 2 epochs",
    "study": "digits",
    "model": "net",
    "loss": "mse",
    "value": "val_loss",
    "epoch": 2,
    "claimed": 0.02,
    "within": [0.019, 0.021],
    "about": "It leaks.",
}
BLOCKS = BlockScores(blocks=1280, noisy={"psnr": 20.0, "ssim": 0.3}, denoised={"psnr": 37.417, "ssim": 0.9})


def trial(
    seed: int, val_loss: list[float], val_psnr: float = 20, test_psnr: float = 20, **change: Any
) -> ReproducedTrial:
    cell = {"name": f"net-{seed}", "model": "net", "optimizer": "adam", "loss": "mse", "seed": seed}
    cell |= {"precision": "bfloat16", "epochs_done": len(val_loss), "seconds": 10, "parameters": 7}
    scores = {"val_psnr": val_psnr, "test_psnr": test_psnr}
    return ReproducedTrial.model_validate(cell | {"val_loss": val_loss, "scores": scores} | change)


def written(folder: Path, claims: list[dict[str, Any]], **records: list[ReproducedTrial]) -> Path:
    """A folder with claims, and with records of trials."""
    (folder / "claims.yaml").write_text(json.dumps(claims))
    for study, trials in records.items():
        made = Reproduction(
            schema_version=1,
            study=study.replace("_", "-"),
            date=datetime.date(2026, 1, 2),
            command=f"dvc exp run -S study={study}",
            machine={"cores": "2"},
            versions=Versions(torch="2", degrain="1"),
            data_sha256="abc",
            trials=trials,
            identity={"test_psnr": 10.0},
            baselines={
                "nlm": {"val_psnr": 17.0, "test_psnr": 15.0},
                "median": {"val_psnr": 18.0, "test_psnr": 16.0},
                "tv": {"val_psnr": 16.0, "test_psnr": 19.0},
            },
            cameras={},
            sharpened={},
        )
        made.write(folder / f"{made.study}.json")
    return folder


def amend(path: Path, **change: Any) -> None:
    """Change fields of a record."""
    Reproduction.read(path).model_copy(update=change).write(path)


def cells(folder: Path) -> list[str]:
    """The cells of the first claim."""
    return [cell.strip() for cell in tables(folder).splitlines()[2].strip("|").split("|")]


@pytest.mark.parametrize("claim", read(FOLDER), ids=lambda claim: f"{claim.study}-{claim.model}")
def test_every_claim_belongs_to_a_cell_of_a_study(claim: Claim) -> None:
    params = Params.model_validate(composed(claim.study))
    assert claim.model in params.train.models
    optimizers = [optimizer.title for optimizer in params.train.optimizers]
    assert claim.optimizer in optimizers if claim.optimizer else len(optimizers) == 1
    assert claim.loss in [loss.title for loss in params.train.losses]
    assert claim.epoch <= params.train.epochs
    assert claim.claimed is None or claim.within is not None


def test_every_study_of_a_paper_has_a_claim() -> None:
    papers = ("sinha2018", "bernier2021", "mehrpanah2020", "venkataraman2022", "yilmaz2020")
    studies = {path.stem for path in (ROOT / "conf" / "study").glob("*.yaml") if path.stem.startswith(papers)}
    assert len(studies) > 30
    assert {claim.study for claim in read(FOLDER)} == {s for s in studies if not s.endswith("-unet")}


def test_what_does_not_come_out_has_a_reason() -> None:
    page = (ROOT / "docs" / "reproductions.md").read_text()
    for claim in read(FOLDER):
        for line in page.splitlines():
            if line.startswith(f"| {claim.paper}: {claim.what} |") and ("| higher |" in line or "| lower |" in line):
                assert claim.about, claim.what


def test_the_page_is_up_to_date() -> None:
    head, _, generated = (ROOT / "docs" / "reproductions.md").read_text().partition(f"{TABLES}\n\n")
    assert generated == tables(FOLDER) + "\n", "run: degrain reproductions --write"
    assert head.startswith("# Reproductions\n")
    assert "## What the reports got wrong" in head


def test_what_stands_above_the_tables_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "reproductions"
    folder.mkdir()
    written(folder, [CLAIM], digits=[trial(0, [0.5, 0.02])])
    with pytest.raises(DataError, match=r"reproductions.md has no heading '## Claimed and measured'"):
        write(folder)
    page = tmp_path / "reproductions.md"
    page.write_text("# By hand\n\nWords.\n\n## Claimed and measured\n\nold\n")
    assert write(folder) == page
    expected = f"# By hand\n\nWords.\n\n## Claimed and measured\n\n{tables(folder)}\n"
    assert page.read_text() == expected
    write(folder)
    assert page.read_text() == expected


def test_a_number_comes_out_or_differs(tmp_path: Path) -> None:
    trials = [trial(0, [0.5, 0.0195, 0.9]), trial(1, [0.5, 0.0205, 0.9], test_psnr=21), trial(2, [0.1], loss="mae")]
    folder = written(tmp_path, [CLAIM], digits=trials, digits_unet=[trial(0, [0.1], model="unet", test_psnr=30)])
    assert cells(folder) == [
        "Somebody 2020: digits, loss after 2 epochs",
        "0.02",
        "0.02000 ± 0.00071",
        "comes out",
        "20.50 ± 0.71",
        "10.00",
        "16.00 (median)",
        "30.00",
        "`digits`, 2, 10 s",
    ]
    page = tables(folder)
    assert "| digits | 2026-01-02 | `dvc exp run -S study=digits` | cores 2, torch 2, bfloat16 |" in page
    assert "- Somebody 2020, digits, loss after 2 epochs: It leaks." in page
    written(tmp_path, [CLAIM | {"epoch": 3}])
    assert cells(folder)[2:4] == ["0.9000 ± 0.0000", "higher"]
    written(tmp_path, [CLAIM | {"epoch": 3, "value": "best_val_loss"}])
    assert cells(folder)[2:4] == ["0.02000 ± 0.00071", "comes out"]
    written(tmp_path, [CLAIM | {"within": [0.03, 0.04]}])
    assert cells(folder)[3] == "lower"
    written(tmp_path, [CLAIM | {"claimed": None, "within": None}])
    assert cells(folder)[1:4] == ["-", "0.02000 ± 0.00071", "no claim"]


def test_a_network_on_the_validation_blocks_of_sidd(tmp_path: Path) -> None:
    claim = CLAIM | {"value": "blocks_psnr", "claimed": 37.5, "within": [37, 38]}
    folder = written(tmp_path, [claim], digits=[trial(0, [0.02], blocks=BLOCKS), trial(1, [0.02])])
    assert cells(folder)[1:4] == ["37.5", "37.42", "comes out"]
    written(tmp_path, [claim | {"value": "blocks_ssim", "claimed": 0.907, "within": [0.906, 0.908]}])
    assert cells(folder)[1:4] == ["0.907", "0.9000", "lower"]
    assert "## Not run" in tables(written(tmp_path, [claim], digits=[trial(0, [0.02])]))


def test_a_study_of_several_cameras_shows_each(tmp_path: Path) -> None:
    trials = [trial(0, [0.02]), trial(1, [0.02]), trial(0, [0.5], loss="mae", name="net-mae", val_psnr=25)]
    folder = written(tmp_path, [CLAIM], digits=trials)
    assert "Cameras" not in tables(folder)
    scores = {"identity": 30.0, "nlm": 31.0, "median": 32.0, "net-0": 33.0, "net-1": 35.0, "net-mae": 36.0}
    amend(folder / "digits.json", cameras={"G4": scores, "S6": scores | {"identity": 29.0}})
    assert tables(folder).split("## Cameras of digits")[1].splitlines()[4:10] == [
        "| method | G4 | S6 |",
        "|---|---|---|",
        "| noisy input | 30.00 | 29.00 |",
        "| median | 32.00 | 32.00 |",
        "| net: adam, mae | 36.00 | 36.00 |",
        "| net: adam, mse | 34.00 ± 1.41 | 34.00 ± 1.41 |",
    ]


def test_what_was_not_run_says_so(tmp_path: Path) -> None:
    def missing(folder: Path) -> list[str]:
        return tables(folder).partition("## Not run")[2].splitlines()[4:5]

    unneeded = "| Somebody 2020: digits, loss after 2 epochs | 0.02 | - | `digits` |"
    assert missing(written(tmp_path, [CLAIM])) == [unneeded]
    assert missing(written(tmp_path, [CLAIM | {"needs": "a GPU"}])) == [unneeded.replace("- |", "a GPU |")]
    assert missing(written(tmp_path, [CLAIM], digits=[trial(0, [0.02])])) == [unneeded]
    assert missing(written(tmp_path, [CLAIM], digits=[trial(0, [0.02], loss="mae")])) == [unneeded]
    tiny = written(tmp_path, [CLAIM | {"epoch": 1}], digits=[trial(0, [0.00123])])
    assert missing(tiny) == []
    assert cells(tiny)[2] == "0.00123"


def test_wrong_claims_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="missing"):
        read(tmp_path)
    with pytest.raises(ParamsError, match="claimd"):
        read(written(tmp_path, [CLAIM | {"claimd": 1}]))


@dataclass(frozen=True)
class Run:
    """What a run of a study with three networks leaves, the last of which has failed."""

    folder: Path
    params: Params
    store: PatchStore

    def write(self) -> None:
        lay_out(self.folder / "trials", self.params, self.store, epochs_done=2)
        done = []
        for model in self.params.train.models:
            place = self.folder / "trials" / model / f"{model}-adam-bce"
            pace = dict.fromkeys(history.PACE, 9.0)
            epochs = [Epoch(n, 1.0, loss, 20.0, 0.1, **pace) for n, loss in ((1, 0.123456789), (2, 0.1))]
            history.write(place / HISTORY, epochs)
            made = TrialRecord.read(place / TRIAL)
            change = {"sha256": {WEIGHTS: model, HISTORY: files.sha256(place / HISTORY)}}
            change |= {"state": "failed"} if model == "bernier2021" else {}
            made = made.model_copy(update=change)
            made.write(place / TRIAL)
            if made.is_done:
                done.append(made)
        self.evaluate(done)
        (self.folder / "figures").mkdir()
        for name in ("unet-learning_curves.svg", "photograph-street.png"):
            (self.folder / "figures" / name).write_text("drawn")
        self.reported.page.write_text("<html>")
        store, trials, ranked = self.store, of_study.read(self.folder / "trials", self.params, self.store), self.ranked
        records.validation().write(self.reported.validation)
        present = shown.of(self.params, records.validation(), store, trials, ranked)
        ReportRecord.of(present, self.reported.page, self.reported.figures).write(self.reported.record)
        table, _ = scores.read(self.folder / "evaluated", {one.name: one for one in trials}, store.sha256)
        Metrics.of(ranked, summary.summarize(table)).write(self.reported.metrics)

    @property
    def reported(self) -> Reported:
        names = ("metrics.json", "report.html", "report.json", "figures", "validation.json")
        return Reported(*(self.folder / name for name in names))

    @property
    def ranked(self) -> Ranking:
        return Ranking.read(self.folder / "evaluated" / ranking.FILE)

    def evaluate(self, trials: list[TrialRecord]) -> None:
        """What evaluate leaves: of every method the same scores."""
        folder = self.folder / "evaluated"
        folder.mkdir()
        whose = {
            one.name: Measured(
                model=one.model,
                trial_key=one.key,
                weights_sha256=one.weights_sha256,
                protocol=self.protocol(one.model),
            )
            for one in trials
        }
        whose |= dict.fromkeys(("identity", "median"), Measured(protocol=self.protocol(None)))
        rows = [
            (method, "trial", *name.split("_"), value + off)
            for method in whose
            for name, value in SCORED.items()
            for off in (-0.00002, 0.00004)
        ]
        table = pd.DataFrame(rows, columns=["method", "kind", "split", "metric", "value"])
        written = scores.write(folder, table.assign(item="patch", image="a"), whose, CONDITIONS, self.store.sha256)
        Ranking(
            schema_version=Ranking.VERSION,
            params=self.params.evaluate,
            strips=self.params.report.strips,
            frames=self.params.report.frames,
            champion="unet-adam-bce",
            cells=[
                Cell(
                    **one.model_dump(include={"model", "optimizer", "loss", "parameters", "seconds"}),
                    trials=[one.name],
                    best_trial=one.name,
                    validation=Validation(mean=20.5, low=20.0, high=21.0, seed_std=None),
                    scores=SCORED,
                )
                for one in trials
            ],
            identity={"test_psnr": 1.00001},
            baselines={"median": Baseline(settings={"size": 3}, scores=SCORED)},
            sharpened={"unet-adam-bce": SHARPENED},
            cameras=CAMERAS,
            unranked=[],
            stand_in="",
            data_sha256=self.store.sha256,
            manifest_sha256=self.store.record.manifest_sha256,
            table_sha256=written.table_sha256,
            pictures=Code.of(*results.PICTURES),
            examples_sha256="",
        ).write(folder / ranking.FILE)

    def protocol(self, model: str | None) -> str:
        return protocol.digest(model, self.store.sha256, self.params.evaluate, CONDITIONS)

    def record(self, params: Params | None = None, blocks: Sequence[Path] = ()) -> Reproduction:
        left = self.folder / "trials", self.folder / "evaluated", self.reported, self.folder / "records"
        return Reproduction.read(record(params or self.params, self.store, *left, blocks=blocks))

    def measured_on_blocks(self, weights_sha256: str) -> Path:
        """What `degrain sidd-validation --json` writes."""
        path = self.folder / "blocks.json"
        SiddValidation(schema_version=1, model="renamed", weights_sha256=weights_sha256, scores=BLOCKS).write(path)
        return path


CONDITIONS = Conditions(machine="AVX2", versions={})
SCORED = {"val_psnr": 20.5, "test_psnr": 19.5, "test_ssim": 0.5}
SHARPENED = {"test_psnr": 18.5, "test_ssim": 0.4}
REACHED = {"identity": 1.0, "median": 1.5, "unet-adam-bce": 2.0, "sinha2018-adam-bce": 3.0}
CAMERAS = {"G4": REACHED, "S6": REACHED}


@pytest.fixture
def run(tmp_path: Path, store: PatchStore, make_params: Callable[..., Params]) -> Run:
    models = ["unet", "sinha2018", "bernier2021"]
    train = {"models": models, "optimizers": [{"name": "adam"}], "losses": ["bce"], "epochs": 2}
    prepare = store.record.params.model_dump(mode="json")
    made = Run(tmp_path, make_params(study={"name": "mnist"}, prepare=prepare, train=train), store)
    made.write()
    return made


def test_a_run_is_recorded(run: Run) -> None:
    made = run.record(blocks=[run.measured_on_blocks("unet")])
    unet, sinha = made.trials
    assert (unet.model, sinha.model) == ("unet", "sinha2018")
    assert unet.val_loss == [0.1234568, 0.1]
    assert unet.scores == sinha.scores == SCORED
    assert (unet.blocks, sinha.blocks) == (BLOCKS, None)
    assert made.identity == {"test_psnr": 1.0}
    assert made.baselines == {"median": SCORED}
    assert made.cameras == CAMERAS
    assert made.data_sha256 == run.store.sha256
    assert made.versions == Versions(torch="1.2", degrain="0.1")
    assert made.machine == {"processor": "a CPU", "cores": "2"}
    assert made.command.startswith("dvc exp run -S study=mnist")
    assert made.sharpened == {"unet-adam-bce": Sharpened(before=SCORED, after=SHARPENED)}
    kept = run.folder / "records" / "figures" / "mnist"
    assert [file.name for file in kept.iterdir()] == ["unet-learning_curves.svg"]
    written(run.folder / "records", [CLAIM | {"study": "mnist", "model": "unet", "loss": "bce"}])
    expected = ["higher", "19.50", "1.00", "19.50 (median)", "19.50", "`mnist`, 1, 2 s"]
    assert cells(run.folder / "records")[3:9] == expected


def test_numbers_of_blocks_that_are_of_something_else_are_refused(run: Run) -> None:
    again = "run: degrain sidd-validation --json FILE"
    path = run.folder / "blocks.json"
    with pytest.raises(DataError, match=f"blocks.json is missing; {again}"):
        run.record(blocks=[path])
    path.write_text('{"psnr": 1}')
    with pytest.raises(DataError, match=f"blocks.json is no record of .* of SIDD: it has no schema version; {again}"):
        run.record(blocks=[path])
    with pytest.raises(DataError, match=r"blocks.json is of weights that no trial of the study has"):
        run.record(blocks=[run.measured_on_blocks("other")])
    assert not (run.folder / "records").exists()


def test_a_run_of_another_study_is_not_recorded(run: Run) -> None:
    def changed(**change: Any) -> Params:
        return Params.model_validate(merged(run.params.model_dump(mode="json", by_alias=True), change))

    with pytest.raises(DataError, match=r"unet-adam-bce in .* was trained with another train.epochs than mnist"):
        run.record(changed(train={"epochs": 3}))
    with pytest.raises(
        DataError, match=r"prepared with another prepare.stride than the study asks for; run: dvc repro prep"
    ):
        run.record(changed(prepare={"stride": 16}))
    assert not (run.folder / "records").exists()


def test_a_run_that_is_not_whole_is_not_recorded(run: Run) -> None:
    trial = run.folder / "trials" / "unet" / "unet-adam-bce" / TRIAL
    whole = TrialRecord.read(trial)
    whole.model_copy(update={"sha256": whole.sha256 | {WEIGHTS: "trained again"}}).write(trial)
    with pytest.raises(DataError, match=r"the scores of unet-adam-bce in .* are not those of the weights"):
        run.record()
    whole.write(trial)
    (run.folder / "figures").rename(run.folder / "elsewhere")
    with pytest.raises(DataError, match=r"figures is missing or damaged; run: dvc repro -f -s report"):
        run.record()
    (run.folder / "elsewhere").rename(run.folder / "figures")
    (run.folder / "evaluated" / "scores.json").unlink()
    with pytest.raises(DataError, match=r"scores.json is missing; run: dvc repro evaluate"):
        run.record()
    assert not (run.folder / "records").exists()


@pytest.mark.parametrize("left", ["metrics", "page", "record"])
@pytest.mark.parametrize("content", [None, "", "{}", "<html>of another study"])
def test_a_report_that_is_missing_or_damaged_is_not_recorded(run: Run, left: str, content: str | None) -> None:
    path: Path = getattr(run.reported, left)
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"run: dvc repro (-f -s )?(evaluate|report)$"):
        run.record()
    assert not (run.folder / "records").exists()


def test_figures_and_metrics_of_another_run_are_not_recorded(run: Run) -> None:
    """Their names are the same: only the records tell them apart."""
    figure = run.reported.figures / "unet-learning_curves.svg"
    figure.write_text("drawn of others")
    with pytest.raises(DataError, match=r"figures is missing or damaged; run: dvc repro -f -s report"):
        run.record()
    figure.write_text("drawn")
    run.record()
    metrics = Metrics.read(run.reported.metrics)
    metrics.model_copy(update={"identity": {"test_psnr": 2.0}}).write(run.reported.metrics)
    with pytest.raises(DataError, match=r"metrics.json is damaged or of another run; run: dvc repro -f -s evaluate"):
        run.record()
    metrics.write(run.reported.metrics)
    records.rewrite(run.reported.record, ranking_sha256="0" * 64)
    with pytest.raises(DataError, match=r"report.html does not report the present ranking; run: dvc repro report"):
        run.record()


def test_trials_of_several_machines_are_recorded_as_such(run: Run) -> None:
    place = run.folder / "trials" / "unet" / "unet-adam-bce" / TRIAL
    origin = {"commit": "0ld", "degrain": "0.2", "machine": {"processor": "another", "cores": "2"}}
    records.rewrite(place, origin=origin)
    trials = of_study.read(run.folder / "trials", run.params, run.store)
    present = shown.of(run.params, records.validation(), run.store, trials, run.ranked)
    ReportRecord.of(present, run.reported.page, run.reported.figures).write(run.reported.record)
    made = run.record()
    assert made.machine == {"processor": "another (1 trial), a CPU (1 trial)", "cores": "2"}
    assert made.versions == Versions(torch="1.2", degrain="0.2 (1 trial), 0.1 (1 trial)")


def test_the_command_of_a_run_does_not_say_what_was_changed_since(run: Run) -> None:
    before = run.record().command
    plain = run.params.model_dump(mode="json", by_alias=True)
    how = {"train": {"precision": "bfloat16", "device": "cuda", "retries": 9}, "evaluate": {"tile": 99}}
    assert run.record(Params.model_validate(merged(plain, how))).command == before


def test_a_number_stands_for_the_seeds_that_have_it(tmp_path: Path) -> None:
    claim = CLAIM | {"value": "blocks_psnr", "claimed": 37.5, "within": [37, 38]}
    trials = [trial(0, [0.02], blocks=BLOCKS, test_psnr=30), trial(1, [0.02]), trial(2, [0.02])]
    row = cells(written(tmp_path, [claim], digits=trials))
    assert (row[2], row[4], row[8]) == ("37.42", "30.00", "`digits`, 1, 10 s")


def test_our_network_is_its_best_cell(tmp_path: Path) -> None:
    ours = [trial(seed, [0.1], model="unet", test_psnr=30 + seed, val_psnr=29) for seed in (0, 1)]
    ours += [trial(0, [0.1], model="unet", loss="mae", test_psnr=20, val_psnr=19)]
    assert cells(written(tmp_path, [CLAIM], digits=[trial(0, [0.5, 0.02])], ours=ours))[7] == "30.50 ± 0.71"


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_does_not_come_out(tmp_path: Path, loss: float) -> None:
    trials = [trial(0, [0.5, loss]), trial(1, [0.5, 0.02])]
    folder = written(tmp_path, [CLAIM], digits=trials)
    assert str(Reproduction.read(folder / "digits.json").trials[0].val_loss[1]) == str(loss)
    assert cells(folder)[2:4] == [str(loss), "not finite"]


def test_cells_are_ranked_by_psnr_beside_what_is_claimed(tmp_path: Path) -> None:
    trials = [
        trial(0, [0.02], val_psnr=20.0),
        trial(1, [0.03], val_psnr=22.0),
        trial(0, [0.01], optimizer="sgd", val_psnr=19.0),
        trial(0, [0.5], loss="mae", val_psnr=25.0),
    ]
    claims = [CLAIM | {"optimizer": "adam", "epoch": 1}, CLAIM | {"optimizer": "sgd", "epoch": 1, "claimed": 0.01}]
    page = tables(written(tmp_path, claims, digits=trials, single=[trial(0, [0.02])]))
    assert "Ranking of single" not in page
    ranking = page.split("## Ranking of digits")[1].splitlines()[4:7]
    assert ranking == [
        "| 1 | net | adam, mae | 25.00 | 20.00 | 0.50000 | - | - |",
        "| 2 | net | adam, mse | 21.00 ± 1.41 | 20.00 ± 0.00 | 0.02500 ± 0.00707 | 0.02 | 2 |",
        "| 3 | net | sgd, mse | 19.00 | 20.00 | 0.01000 | 0.01 | 1 |",
    ]


def test_the_page_shows_what_sharpening_did_and_the_figures(tmp_path: Path) -> None:
    folder = written(tmp_path, [CLAIM], digits=[trial(0, [0.02])])
    before, after = {"test_psnr": 20.0, "test_ssim": 0.8}, {"test_psnr": 18.5, "test_ssim": 0.7}
    amend(folder / "digits.json", sharpened={"net-0": Sharpened(before=before, after=after)})
    (folder / "figures" / "digits").mkdir(parents=True)
    (folder / "figures" / "digits" / "net-learning_curves.svg").write_text("<svg/>")
    page = tables(folder)
    assert "| digits | net-0 | 20.00 | 18.50 | 0.800 | 0.700 |" in page
    assert f"![net-learning_curves]({folder.name}/figures/digits/net-learning_curves.svg)" in page


def test_a_u_net_is_compared_wherever_it_saw_the_same_data(tmp_path: Path) -> None:
    folder = written(
        tmp_path, [CLAIM], digits=[trial(0, [0.02, 0.02])], others=[trial(0, [0.1], model="unet", test_psnr=30)]
    )
    assert cells(folder)[7] == "30.00"
    amend(folder / "others.json", data_sha256="def")
    assert cells(folder)[7] == "not run"
