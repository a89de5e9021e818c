"""What a report of any size is made of: records and pictures as the stages before leave them, of nothing measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degrain.artifacts.code import Code
from degrain.artifacts.ranking import Ranking, Unranked
from degrain.artifacts.scores import Conditions
from degrain.artifacts.store import StoreRecord
from degrain.artifacts.trial import TrialRecord
from degrain.artifacts.validation import Asked, Expectation, NearCopies
from degrain.evaluation import ranking
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.pixels import Light
from degrain.report import gallery, html, shown
from degrain.report.material import Material
from degrain.snapshots import Snapshot
from tests.artifacts import records
from tests.conftest import grainy, merged, picture, save

CODE = Code(modules=[], sha256="")
MODELS = ("unet", "dncnn", "sinha2018", "bernier2021", "rednet10", "ffdnet", "resunet-small", "venkataraman2022")
OPTIMIZERS = ("adam", "adamw", "sgd", "adadelta", "rmsprop", "adagrad", "nadam", "adamax")
LOSSES = ("mse", "mae", "huber", "charbonnier", "logcosh", "bce")
BASELINES = ("nlm", "bilateral", "tv", "wavelet", "gaussian", "median")


@dataclass
class Draft:
    """A report of so many trials and whole test images, to be made in an empty folder.

    Attributes:
        folder: Gets the pictures.
        study: It is of, as plain data.
        trials: One for each cell of a grid of `models`, all `OPTIMIZERS` and `LOSSES`.
        failed: How many more did not get done.
        photographs: Whole test images.
        size: Their height and width, in pixels.
        patch: Side of the patches, in pixels.
        strips: How many of them are shown.
        channels: 1, 3, or 4 for a packed Bayer mosaic.
        light: What values stand for.
        epochs: Of each trial.
        images: Rows of the manifest.
    """

    folder: Path
    study: dict[str, Any]
    trials: int = 3
    failed: int = 0
    photographs: int = 1
    size: tuple[int, int] = (96, 128)
    patch: int = 16
    strips: int = 3
    channels: int = 3
    light: Light = "srgb"
    epochs: int = 4
    images: int = 9
    models: Sequence[str] = MODELS

    def report(self) -> str:
        """Make the page, as the stage does."""
        material = self.material()
        return html.render(material, gallery.draw(material))

    def material(self) -> Material:
        """Make what the page is made of."""
        params = Params.model_validate(
            merged(self.study, {"prepare": {"patch_size": self.patch}, "report": {"strips": self.strips}})
        )
        trials = {trial.name: trial for trial in self._trials()}
        ranked = self._ranking(list(trials.values()))
        manifest, sides = self._images()
        store = PatchStore(Path(), self._store(params), Snapshot(Path(), "", {}))
        validation = records.validation(
            asked=Asked.of(params),
            images=self.images,
            quarantined=["photo-000.png"],
            expectations=[
                Expectation(name="readable", text="it can be read", success=True, groups=False, images=[]),
                Expectation(name="size", text="no side < 32", success=False, groups=False, images=["photo-000.png"]),
            ],
            near_copies=[NearCopies(first="photo-001.png", second="photo-002.png", correlation=0.9951, mirrored=True)],
        )
        self._pictures([cell.best_trial for cell in ranking.best_of_models(ranked.cells)])
        return Material(
            title=params.study.title,
            params=params,
            ranking=ranked,
            histories={name: self._history(number) for number, name in enumerate(trials)},
            trials=trials,
            manifest=manifest,
            validation=validation,
            store=store,
            sides=sides,
            near_copies=self.folder / "near-copies",
            examples=self.folder / "examples",
            gate=[
                records.verdict(),
                records.verdict(measure="photograph_psnr", low=9.1),
                records.verdict(rival="baseline nlm", gain=-0.5, rival_score=30.75, won=1, passed=False),
            ],
            docs={"photos": "validation/photos.html"},
            shown=shown.of(params, validation, store, list(trials.values()), ranked),
            measured=Conditions(machine="AVX2", versions={"torch": "1.2"}),
            date="2026-12-01",
            published={},
        )

    def _trials(self) -> Iterable[TrialRecord]:
        grid = itertools.product(LOSSES, OPTIMIZERS, self.models)
        for number, (loss, optimizer, model) in enumerate(itertools.islice(grid, self.trials + self.failed)):
            made = {"name": f"{model}-{optimizer}-{loss}", "model": model, "optimizer": optimizer, "loss": loss}
            if number >= self.trials:
                made |= {"state": "diverged", "reason": "the loss became nan in epoch 2"}
            yield records.trial(channels=self.channels, light=self.light, patch_size=self.patch, **made)

    def _ranking(self, trials: Sequence[TrialRecord]) -> Ranking:
        done = [trial for trial in trials if trial.is_done]
        return records.ranking(
            *(
                records.cell(
                    trial.model,
                    trial.optimizer,
                    31 - number / 16,
                    loss=trial.loss,
                    trials=[trial.name],
                    best_trial=trial.name,
                    parameters=134_284,
                    scores=self._scores(30.4 - number / 16),
                )
                for number, trial in enumerate(done)
            ),
            identity=self._scores(20),
            baselines={
                name: {"settings": {"strength": 0.6, "patch_px": 5}, "scores": self._scores(29.8 - number)}
                for number, name in enumerate(BASELINES)
            },
            unranked=[Unranked(name=one.name, state=one.state, reason=one.reason) for one in trials if not one.is_done],
            strips=self.strips,
        )

    def _scores(self, psnr: float) -> dict[str, float]:
        whole = {"photograph_psnr": psnr - 0.1, "photograph_ssim": psnr / 51} if self.photographs else {}
        return records.scores(psnr) | whole

    def _history(self, number: int) -> pd.DataFrame:
        epochs = np.arange(1, self.epochs + 1)
        ripple = np.random.default_rng(number).standard_normal((3, self.epochs)) / 50
        loss = 0.3 / epochs + 0.01 + number / 5000
        curves = {
            "train_loss": loss * (1 + ripple[0]),
            "val_loss": loss * (1.1 + ripple[1]),
            "val_psnr": 31 - number / 16 - 9 / epochs + ripple[2],
        }
        return pd.DataFrame({"epoch": epochs, **curves})

    def _images(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        names = [f"photo-{number:03}.png" for number in range(self.images)]
        described = {"width": 640, "height": 480, "channels": self.channels, "mean": 101.2, "std": 61.3}
        broken = [number == 0 for number in range(self.images)]
        rest = {"saturated": 0.012, "sha256": "5" * 64, "quarantined": broken}
        errors = ["it is cut off" if one else None for one in broken]
        manifest = pd.DataFrame({"path": names, **described, **rest, "error": errors})
        used = zip(names[1:], itertools.cycle(("train", "val", "test")), strict=False)
        return manifest, pd.DataFrame(used, columns=["path", "side"])

    def _store(self, params: Params) -> StoreRecord:
        return StoreRecord(
            schema_version=StoreRecord.VERSION,
            params=params.prepare,
            asked=Asked.of(params),
            code=CODE,
            manifest_sha256="",
            channels=self.channels,
            light=self.light,
            counts={"train": 4096, "val": 512, "test": 512},
            leaks={},
            sha256="",
        )

    def _pictures(self, trials: Iterable[str]) -> None:
        channels = min(self.channels, 3)
        for number in range(self.strips):
            place = self.folder / "examples" / "patches" / f"{number:02}"
            for name in ("noisy", "clean", *trials):
                draw = picture if name == "clean" else grainy  # detail that does not compress away
                save(place / f"{name}.png", draw(number, self.patch, self.patch, channels=channels))
        for number in range(self.photographs):
            place = self.folder / "examples" / "photographs" / f"photo-{number:03}"
            for name, draw in (("noisy", grainy), ("clean", picture), ("denoised", picture)):
                save(place / f"{name}.png", draw(number, *self.size, channels=channels))
        save(self.folder / "near-copies" / "00.png", picture(0, 64, 128))
