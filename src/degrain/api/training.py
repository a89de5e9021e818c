"""Training one trial in the present process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from degrain import console, files
from degrain.api.checking import checked
from degrain.api.denoising import DEVICES, ImageDenoiser, require_one_of
from degrain.api.networks import OwnSpec
from degrain.artifacts import history
from degrain.artifacts.history import Epoch
from degrain.artifacts.trial import HISTORY, TRIAL, WEIGHTS, TrialRecord
from degrain.errors import OutputError, ParamsError, TrainingError
from degrain.machine import compute
from degrain.networks import catalog
from degrain.params.study import Params, load_params
from degrain.params.train import TrainParams
from degrain.patches.store import PatchStore, check
from degrain.stages import PARAMS, PREPARED
from degrain.training.trial import Trial, chosen, expand

if TYPE_CHECKING:
    import pandas as pd

# The axes of a grid, which has one trial here.
AXES = ("models", "optimizers", "losses", "pairs", "seeds")


@dataclass(frozen=True)
class TrainedTrial:
    """What `train` returns: a trial that was trained to its end.

    Attributes:
        record: Settings, data, machine, and what came out, such as `val_psnr` in dB.
        history: One row per epoch: epoch, train_loss, val_loss, val_psnr (dB), rate, images_per_second, ...
        denoiser: The trained network, ready to be called with images.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import degrain
        >>> photos = [np.full((32, 32), light) for light in (0.2, 0.5, 0.8)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = degrain.prepare(photos, f"{folder}/store", patch_size=32)
        ...     trained = degrain.train(store, "machinecurve2019", epochs=1)
        ...     trained.save(f"{folder}/model")
        ...     degrain.load(f"{folder}/model")
        ImageDenoiser(machinecurve2019, channels=1, srgb)
    """

    record: TrialRecord
    history: pd.DataFrame
    denoiser: ImageDenoiser

    def __repr__(self) -> str:
        told = f"{self.record.name}, {self.record.epochs_done} epochs, val_psnr={self.record.val_psnr:.2f} dB"
        return f"{type(self).__name__}({told})"

    def save(self, folder: str | Path) -> None:
        """Write trial.json, history.csv and weights.safetensors, for `load` and `degrain denoise --model FOLDER`.

        Args:
            folder: A new one, or one with a trial, which is replaced.

        Raises:
            OutputError: It holds something else, or cannot be written.
        """
        from degrain.trials.ledger import packed

        target = Path(folder)
        if target.exists() and not (target / TRIAL).is_file():
            raise OutputError(f"{target} is there already and holds no trial; choose another folder")
        with files.new_folder(target) as partial:
            (partial / WEIGHTS).write_bytes(packed(self.denoiser.network.state_dict()))
            history.write(partial / HISTORY, [Epoch(*row) for row in self.history.itertuples(index=False)])
            self.record.write(partial / TRIAL)


def train(
    store: PatchStore | str | Path,
    network: str = "unet",
    *,
    optimizer: str | Mapping[str, Any] = "adam",
    loss: str | Mapping[str, Any] = "mse",
    seed: int = 0,
    folder: str | Path | None = None,
    device: str = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
    **options: Any,
) -> TrainedTrial:
    """Train a network in this process.

    The same call on the same data and kind of processor gives the same weights, bit for bit. PyTorch's random numbers
    and settings are left as they were.

    Args:
        store: Patches, as of `prepare` or `open_store`; or the folder of a store.
        network: Of `list_networks`, or one's own by `register_network`.
        optimizer: A name, or a mapping of `name` and options, such as `{"name": "adam", "lr": 0.004}`.
        loss: The same.
        seed: Of the first weights, the order of the patches and the noise.
        folder: A ledger: what is in it is not trained again, and training that was stopped goes on where it was. None
            keeps nothing on the disk.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        on_epoch: Called after each epoch, with an object that has the columns of `TrainedTrial.history`.
        options: Any other of `train` in params.yaml: `epochs`, `batch_size`, `patches_per_epoch`, `schedule`, `ema`,
            `start`, ...; docs/params.md explains them. `threads` is all cores if it is not given.

    Returns:
        Its record, history and denoiser.

    Raises:
        DataError: There is no such store, or it is damaged.
        ModelError: There is no such network; the message has the nearest name.
        ParamsError: An option is unknown (the message has the nearest name) or impossible, or the network cannot take
            the patches.
        TrainingError: It diverged, or another process is training the same.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import degrain
        >>> photos = [np.tile(np.linspace(0, light, 64), (64, 1)) for light in (0.5, 0.7, 0.9)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = degrain.prepare(photos, f"{folder}/store", patch_size=32)
        ...     trained = degrain.train(store, "unet", epochs=2, batch_size=2)
        >>> list(trained.history["epoch"])
        [1, 2]
        >>> trained.denoiser(photos[0]).shape
        (64, 64)
    """
    if axis := next((name for name in options if name in AXES), None):
        raise ParamsError(f"{axis}: one trial is trained; say network, optimizer, loss and seed")
    axes = {"models": [network], "optimizers": [optimizer], "losses": [loss], "seeds": [seed]}
    raw = {"threads": compute.threads(), **options, **axes, "device": device}
    catalog.spec(network)
    (trial,) = expand(checked(TrainParams, raw, "train"), network)
    opened = store if isinstance(store, PatchStore) else PatchStore.open(Path(store))
    return _trained(trial, opened, folder, on_epoch)


def train_from_study(
    trial: str,
    params: str | Path | Params = PARAMS,
    store: PatchStore | str | Path = PREPARED,
    *,
    folder: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedTrial:
    """Train one trial of a study in this process, as its stage train would.

    Args:
        trial: Its name, such as "unet-adam-mse".
        params: The study: a params.yaml, or what `degrain.params.study.load_params` has read.
        store: The patches that were prepared for it.
        folder: As of `train`; `.degrain/trials` is the ledger of a project.
        on_epoch: As of `train`.

    Returns:
        Its record, history and denoiser.

    Raises:
        DataError: There is no such store, it is damaged, or was prepared otherwise than the study asks for.
        ParamsError: The study has no such trial (the message has the nearest name), or is impossible.
        TrainingError: As of `train`.

    Examples:
        >>> import degrain
        >>> degrain.train_from_study("unet-adam-mse", params="nowhere.yaml")
        Traceback (most recent call last):
        ...
        degrain.errors.ParamsError: nowhere.yaml is not here; run degrain in the project's folder, or name it: --params
    """
    study = params if isinstance(params, Params) else load_params(Path(params))
    found = [one for model in study.train.models for one in expand(study.train, model)]
    (asked, *_) = chosen(found, trial or "?")
    opened = store if isinstance(store, PatchStore) else PatchStore.open(Path(store), study)
    check(opened.folder, opened.record, study)
    return _trained(asked, opened, folder, on_epoch)


def _trained(
    trial: Trial, store: PatchStore, folder: str | Path | None, on_epoch: Callable[[Epoch], None] | None
) -> TrainedTrial:
    from degrain.inference.denoiser import Denoiser
    from degrain.studies import check as studies
    from degrain.studies import network_probes
    from degrain.trials import work
    from degrain.trials.ledger import Busy, Ledger

    params = trial.params
    require_one_of("device", params.device, DEVICES)
    studies.check_exposure(store.record.params, params, store.record.light)
    studies.check_fit(trial.model, store.record.params, params)
    if isinstance(catalog.spec(trial.model), OwnSpec):
        network_probes.check_networks([trial.model], store.channels, store.patch_size)
        network_probes.check_trials([trial], store.channels, store.patch_size)
    with nullcontext(folder) if folder else TemporaryDirectory(prefix="degrain-") as where, _settings_of_torch():
        on = compute.prepare_torch(params.device, params.threads, params.deterministic)
        ledger, key = Ledger(Path(where)), work.key_of(trial, store, on)
        with console.progress(trial.name, params.epochs) as advance:

            def tell(event: Epoch | TrialRecord) -> None:
                if isinstance(event, Epoch):
                    advance()
                    if on_epoch:
                        on_epoch(event)

            try:
                work.train(work.Job(trial, key, store, on, ledger), tell, lambda: False)
            except Busy:
                raise TrainingError(f"another process is training {trial.name}") from None
        left = ledger.folder / key
        record = TrialRecord.read(left / TRIAL).named(trial.name, trial.optimizer.title, trial.loss.title)
        if not record.is_done:
            raise TrainingError(f"{trial.name} {record.state}: {record.reason}")
        return TrainedTrial(record, history.read(left, record), ImageDenoiser(Denoiser.load(left, on)))


@contextmanager
def _settings_of_torch() -> Iterator[None]:
    """Leave PyTorch's random numbers and settings as they are, whatever the body does with them."""
    import torch

    filling = torch.utils.deterministic
    kept = torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    filled = filling.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng():
        try:
            yield
        finally:
            torch.set_num_threads(kept[0])
            torch.set_deterministic_debug_mode(kept[1])
            torch.backends.cudnn.benchmark = kept[2]
            filling.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
