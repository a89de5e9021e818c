"""What a run leaves for a person in Prefect's UI: progress, what was done, the ranking, pictures, and the report."""

from __future__ import annotations

import base64
import io
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from PIL import Image
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from degrain import files
from degrain.artifacts.registration import Registration
from degrain.errors import DataError
from degrain.stages import DATA_DOCS, EVALUATED, METRICS, REGISTRATION, REPORT
from pipelines.processes import Log

# A line of `degrain.trials.board`.
_ENDED = re.compile(r"(\d+) of (\d+) trials have ended$")
# Seconds between two changes of a bar.
_PAUSE = 2.0
# Pixels of the larger side of a picture in the UI, which keeps it in its database.
_PICTURE = 640
_KEPT = Path(".degrain") / "runs"


@dataclass(frozen=True)
class Outcome:
    """What became of a stage.

    Attributes:
        stage: Its name.
        how: "ran", "restored" from DVC's cache, or "unchanged".
        seconds: How long that took.
    """

    stage: str
    how: str
    seconds: float


class Progress:
    """A bar in the UI that follows the lines of a stage that trains.

    Args:
        stage: Its name.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._bar: UUID | None = None
        self._shown = 0.0

    def see(self, line: str) -> None:
        """Look at a line of the stage's output."""
        if not (found := _ENDED.search(line)):
            return
        ended, every = int(found[1]), int(found[2])
        if ended < every and time.monotonic() - self._shown < _PAUSE:
            return
        self._shown = time.monotonic()
        share, told = 100 * ended / every, f"{self._stage}: {ended} of {every} trials"
        if self._bar is None:
            self._bar = create_progress_artifact(progress=share, description=told)  # type: ignore[assignment]
        else:
            update_progress_artifact(self._bar, progress=share, description=told)


def followed(stage: str, log: Log) -> Log:
    """Return a log of a stage whose lines a bar follows, too."""
    progress = Progress(stage)

    def see(line: str) -> None:
        log(line)
        progress.see(line)

    return see


def publish(folder: Path, run: str, project: Path, outcomes: Sequence[Outcome], published: str) -> None:
    """Leave artifacts of what a run has done, as far as it came.

    Args:
        folder: Where the stages ran.
        run: Name of the run.
        project: Where the report is kept.
        outcomes: Of the stages, in the order of the graph.
        published: Where the results went, in words.
    """
    lines = [f"Results: {published}.", "", "| stage | | seconds |", "|---|---|---|"]
    lines += [f"| {o.stage} | {o.how} | {o.seconds:.1f} |" for o in outcomes]
    done = {outcome.stage for outcome in outcomes}
    if {"evaluate", "report", "register"} <= done:
        kept = _keep(folder, project, run)
        places = f"Report: `{kept / REPORT.name}`, Data Docs: `{kept / DATA_DOCS.name / 'index.html'}`"
        lines = [*_champion(folder), places, "", *lines]
    create_markdown_artifact("\n".join(lines), key="reproduce-summary", description="What the run did")
    if "evaluate" in done:
        _ranking(folder)
        _pictures(folder)


def _champion(folder: Path) -> list[str]:
    metrics = files.read_json(folder / METRICS)
    champion = metrics["champion"]
    lines = [
        f"Best: **{champion['trial']}**, {champion['photograph_psnr']:.2f} dB on the held-out photographs "
        f"(noisy input {metrics['identity']['photograph_psnr']:.2f} dB).",
        "",
    ]
    try:
        registration = Registration.read(folder / REGISTRATION)
    except DataError as error:
        return [*lines, str(error), ""]
    # NOTE: it imports PyTorch, which takes as long as all else that a flow imports.
    from degrain.registry import decision

    return [*lines, f"Registry: {decision.conclusion(registration)}", ""]


def _keep(folder: Path, project: Path, run: str) -> Path:
    """Copy the report and the Data Docs to where they outlive the workspace."""
    kept = project.resolve() / _KEPT / run
    for place in (REPORT, DATA_DOCS):
        source = folder / place
        (kept / place.name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, kept / place.name, dirs_exist_ok=True)
        elif source.exists():
            shutil.copyfile(source, kept / place.name)
    return kept


def _ranking(folder: Path) -> None:
    metrics = files.read_json(folder / METRICS)
    rows = [("noisy input", metrics["identity"]), *metrics["baselines"].items(), *metrics["trials"].items()]
    ranked = sorted(rows, key=lambda row: -float(row[1]["val_psnr"]))
    create_table_artifact(
        [{"method": name, **values} for name, values in ranked], key="ranking", description="PSNR in dB, best first"
    )


def _pictures(folder: Path) -> None:
    """One held-out photograph, noisy, denoised and clean, side by side."""
    for place in sorted((folder / EVALUATED / "examples" / "photographs").glob("*"))[:1]:
        sides = [Image.open(place / f"{name}.png").convert("RGB") for name in ("noisy", "denoised", "clean")]
        for side in sides:
            side.thumbnail((_PICTURE, _PICTURE))
        width, height = sides[0].size
        row = Image.new("RGB", (width * len(sides), height))
        for number, side in enumerate(sides):
            row.paste(side, (number * width, 0))
        buffer = io.BytesIO()
        row.save(buffer, "JPEG", quality=85)
        create_image_artifact(
            f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}",
            key="before-and-after",
            description=f"{place.name}: noisy, denoised, clean",
        )
