"""What evaluate measured: a table of scores, and whose scores they are.

data/evaluated/scores.parquet   one row per method and item, see `degrain.evaluation.scoring`
data/evaluated/scores.json      what each method was, by the digests of its data, weights and protocol
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from degrain import files
from degrain.artifacts.base import Part, Record
from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TABLE = "scores.parquet"
RECORD = "scores.json"


class Measured(Part):
    """Whose scores a method's are.

    Attributes:
        model: The network, by its name in the catalog; None for the noisy input and the classical denoisers.
        trial_key: Key of the trial; None for what no trial made, sharpened outputs included.
        weights_sha256: SHA-256 of its weights file.
        protocol: See `degrain.evaluation.protocol`.
    """

    model: str | None = None
    trial_key: str | None = None
    weights_sha256: str | None = None
    protocol: str


class Conditions(Part):
    """Where scores were measured.

    Attributes:
        machine: Kind of processor, with the number of threads, or of GPU; see `degrain.machine.description.kind`.
        versions: Of each library that any method's code imports.
    """

    machine: str
    versions: dict[str, str]


class Scores(Record):
    """What scores.json holds.

    Attributes:
        data_sha256: Digest of the patch store that everything was measured on.
        table_sha256: SHA-256 of scores.parquet.
        conditions: Under which everything was measured; the digests of the protocol hold for these.
        methods: What was measured, by the name that the table uses.
    """

    WHAT: ClassVar[str] = "record of scores"
    STAGE: ClassVar[str] = "evaluate"
    VERSION: ClassVar[int] = 4

    data_sha256: str
    table_sha256: str
    conditions: Conditions
    methods: dict[str, Measured]


def write(
    folder: Path, table: pd.DataFrame, methods: Mapping[str, Measured], conditions: Conditions, data_sha256: str
) -> Scores:
    """Write table and record into a folder."""
    table.to_parquet(folder / TABLE, index=False)
    record = Scores(
        schema_version=Scores.VERSION,
        data_sha256=data_sha256,
        table_sha256=files.sha256(folder / TABLE),
        conditions=conditions,
        methods=dict(methods),
    )
    record.write(folder / RECORD)
    return record


def read(folder: Path, trials: Mapping[str, TrialRecord], data_sha256: str) -> tuple[pd.DataFrame, Scores]:
    """Read the scores of these trials on this data.

    Args:
        folder: Where evaluate left them.
        trials: All trials of the study, by name.
        data_sha256: Digest of the patch store.

    Returns:
        The table and the record.

    Raises:
        DataError: They are missing or damaged, or belong to other trials, weights or data.
    """
    import pandas as pd

    record = Scores.read(folder / RECORD)
    path = folder / TABLE
    if not path.exists():
        raise DataError(f"{path} is missing; {Scores.again()}")
    content = files.verified(path, record.table_sha256)
    if content is None:
        raise DataError(f"{path} is damaged or of another run; {Scores.again('-f -s')}")
    if record.data_sha256 != data_sha256:
        raise DataError(f"the scores in {folder} were measured on other data than what is prepared; {Scores.again()}")
    measured = {name: (one.trial_key, one.weights_sha256) for name, one in record.methods.items() if one.trial_key}
    present = {name: (trial.key, trial.weights_sha256) for name, trial in trials.items() if trial.is_done}
    for name in {**measured, **present}:
        if measured.get(name) != present.get(name):
            raise DataError(
                f"the scores of {name} in {folder} are not those of the weights in data/trials; {Scores.again()}"
            )
    return pd.read_parquet(content), record
