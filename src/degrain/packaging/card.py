"""The model card: README.md of a packaged model, for people and for the Hugging Face Hub.

Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019; the head is that of
https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

import degrain
from degrain.artifacts.registration import Verdict
from degrain.artifacts.source import Source
from degrain.artifacts.trial import TRIAL, WEIGHTS, TrialRecord
from degrain.errors import printable
from degrain.evaluation import gate, summary
from degrain.metrics.catalog import METRICS
from degrain.networks import catalog
from degrain.packaging.layout import CARD, CODE, MLMODEL, NETWORK

# Letters that mean something in Markdown or HTML, also within a line.
_SPECIAL = frozenset("\\`*_{}[]<>#|~&!$^@")
# What is measured on held-out data, by its name in the scores.
_MEASURES = [summary.name(group, metric) for group in ("test", "photograph") for metric in METRICS]
_LIGHT = {
    "srgb": "ordinary image files (sRGB or a similar curve)",
    "linear": "linear light; the model refuses PNG and JPEG files, which do not hold it, and takes arrays",
}
_KINDS = {1: "gray", 3: "color", 4: "Bayer mosaics in four channels (R, G, G, B)"}


@dataclass(frozen=True)
class Facts:
    """What a card tells.

    Attributes:
        study: Title of the study.
        trial: That is packaged.
        scores: Its means, by names such as `test_psnr`, see `degrain.evaluation.summary`.
        identity: Those of the noisy input.
        baselines: Those of each classical denoiser.
        verdicts: How it stands to these, see `degrain.evaluation.gate`.
        source: Of the data set that it was trained on.
        shrink: How many times smaller its images were also made before they were cut.
    """

    study: str
    trial: TrialRecord
    scores: Mapping[str, float]
    identity: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    verdicts: Sequence[Verdict]
    source: Source
    shrink: Sequence[int] = (1,)


def escaped(text: str) -> str:
    r"""Return a text that people wrote as one line of Markdown that shows it as it is.

    >>> escaped("a <b> & [c](d)\n# e")
    'a \\<b\\> \\& \\[c\\](d) \\# e'
    """
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in printable(" ".join(text.split())))


def text(facts: Facts, examples: Sequence[str]) -> str:
    """Write the card.

    Args:
        facts: What it tells.
        examples: Pictures to show, relative to the card; before at the left, after at the right.

    Returns:
        Markdown below a head in YAML.
    """
    head = yaml.safe_dump(_head(facts), sort_keys=False, allow_unicode=True, width=120)
    sections = (_about, _data, _scores, _limits, _use, _loading, _provenance)
    body = "\n\n".join(section(facts) for section in sections)
    shown = "".join(f"\n\n![Noisy at the left, denoised at the right]({name})" for name in examples)
    return f"---\n{head}---\n\n{body}{shown}\n"


def _head(facts: Facts) -> dict[str, Any]:
    """The metadata of the Hugging Face Hub."""
    results = [_result(facts, group) for group in ("test", "photograph")]
    dataset = facts.source.asked.dataset
    return {
        "license": "unknown",
        "library_name": "degrain",
        "pipeline_tag": "image-to-image",
        "tags": ["image-denoising", "denoising", "autoencoder", "onnx", "mlflow", facts.trial.model],
        "datasets": [dataset],
        "metrics": list(METRICS),
        "model-index": [{"name": facts.trial.name, "results": [result for result in results if result["metrics"]]}],
    }


def _result(facts: Facts, group: str) -> dict[str, Any]:
    names = {metric: summary.name(group, metric) for metric in METRICS}
    values = [
        {"type": metric, "name": METRICS[metric].title, "value": round(facts.scores[name], gate.DIGITS)}
        for metric, name in names.items()
        if name in facts.scores
    ]
    return {
        "task": {"type": "image-to-image", "name": "Image denoising"},
        "dataset": {"type": facts.source.asked.dataset, "name": f"{facts.source.title}: {summary.GROUPS[group]}"},
        "metrics": values,
    }


def _about(facts: Facts) -> str:
    trial, spec = facts.trial, catalog.spec(facts.trial.model)
    begun = f"\n- First weights: those of {_start(trial)}." if trial.training.get("start") else ""
    settings = {name: value for name, value in trial.training.items() if not name.startswith("start")}
    times = ", ".join(map(str, facts.shrink))
    shrunk = f", cut from each image with its sides divided by {times}" if times != "1" else ""
    return f"""\
# {escaped(trial.name)}

A network that removes noise from images: {escaped(spec.title)} ({escaped(spec.source)}), {trial.parameters:,}
parameters, the best trial of the study "{escaped(facts.study)}". It was trained, measured and packaged by degrain
{degrain.__version__}.

- Optimizer: {escaped(trial.optimizer)}; loss: {escaped(trial.loss)}; random seed: {trial.seed}; \
epochs: {trial.epochs_done}.
- Images: {_KINDS.get(trial.channels, f"{trial.channels} channels")}, {trial.bits} bits, patches of {trial.patch_size}
  pixels{shrunk}, {_LIGHT[trial.light]}.
- Noise: {escaped(_noise(trial))}.
- Settings of `train`: {escaped(_settings(settings))}.{begun}"""


def _start(trial: TrialRecord) -> str:
    """Name the model with whose weights a trial began."""
    training = trial.training
    return f"`{training['start']}`, which comes with degrain (SHA-256 `{training['start_sha256']}`)"


def _before(trial: TrialRecord) -> str:
    return f"""\
Before that, the first weights were trained on other data; which, and under which licences, is told by the card of
{_start(trial)}."""


def _noise(trial: TrialRecord) -> str:
    settings = {name: value for name, value in trial.noise if name != "kind"}
    return ", ".join(filter(None, [trial.noise.kind, _settings(settings)]))


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in settings.items() if value is not None)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " to ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _data(facts: Facts) -> str:
    source = facts.source
    credits_of = sorted({(one.credit, one.licence) for one in source.files if one.credit or one.licence})
    lines = "".join(f"\n- {escaped(credit)}: {escaped(licence)}" for credit, licence in credits_of)
    each = f"\n\nIts images are by:\n{lines}" if lines else ""
    before = f"\n\n{_before(facts.trial)}" if facts.trial.training.get("start") else ""
    return f"""\
## Training data

{escaped(source.title or source.asked.dataset)} (`{source.asked.dataset}`).

- From: {escaped(source.origin or "its owner")}
- Licence of the data: {escaped(source.licence or "not stated")}
- Citation: {escaped(source.citation or "none given")}
- SHA-256 of the prepared patches: `{facts.trial.data_sha256}`

Nobody has stated a licence for the weights. The licence of the data may bind what you do with them.{before}{each}"""


def _scores(facts: Facts) -> str:
    measures = [name for name in _MEASURES if name in facts.scores]
    rows = {
        f"**{escaped(facts.trial.name)}**": facts.scores,
        **{escaped(name): values for name, values in facts.baselines.items()},
        "noisy input": facts.identity,
    }
    head = ["method", *(_title(name) for name in measures)]
    cells = [
        [label, *(summary.text(name, values[name]) if name in values else "" for name in measures)]
        for label, values in rows.items()
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *cells])
    stand_in = f"\n\n{facts.trial.noise.stand_in}" if facts.trial.noise.stand_in else ""
    verdicts = "\n".join(
        f"- {'passed' if verdict.passed else 'not passed'}, against {escaped(verdict.rival)}: "
        f"{gate.comparison(verdict)}"
        for verdict in facts.verdicts
    )
    return f"""\
## Scores

On images that were not trained on, means over patches or whole photographs; higher is better. Parameters of the
classical denoisers were tuned on the validation patches.{stand_in}

{table}

The gate of the registry, which compares means over sources (photographs or scenes):

{verdicts}"""


def _title(measure: str) -> str:
    return f"{summary.metric_of(measure).title}, {summary.GROUPS[measure.partition('_')[0]]}"


def _limits(facts: Facts) -> str:
    spec = catalog.spec(facts.trial.model)
    size = (
        f"The network takes images of {facts.trial.patch_size}x{facts.trial.patch_size} pixels only. Larger ones are\n"
        "  cut into overlapping tiles whose seams are blended, and may still be seen."
        if spec.fixed_size
        else "Images of any size are denoised in tiles, with the outcome of one run over the whole image."
    )
    return f"""\
## Limits

- It was trained for the noise above. With other noise, or noise of another strength, it may do harm. It does not
  estimate how strong noise is.
- It does not remove blur, compression artifacts, dust or scratches, and does not enlarge images.
- Like every denoiser it may remove fine texture that looks like noise, and draw what is not there. Do not use it where
  single pixels are evidence: in medicine, forensics or measurement.
- {size}
- The scores are means over few photographs or scenes; the gate's lines say how many. On your images they will differ.
- `{NETWORK}` computes in float32 what PyTorch computes, up to rounding: single pixels may differ by one
  8-bit level."""


def _use(facts: Facts) -> str:
    linear = facts.trial.light == "linear"
    request = (
        """curl -sS http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' \\
    -d '{"inputs": [[[0.5, 0.25]]]}'"""
        if linear or facts.trial.channels == 4
        else """(printf '{"inputs": ["'; base64 < noisy.png | tr -d '\\n'; printf '"]}') |
    curl -sS http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' -d @-"""
    )
    kinds = "arrays only" if linear else "bytes or base64 of PNG and JPEG files, and arrays"
    return f"""\
## Use

With degrain, for files and folders of many formats:

```sh
degrain denoise noisy.png clean.png --model FOLDER
```

With MLflow, without degrain ({kinds}; the head of {CODE} says all):

```python
import mlflow
import numpy as np

model = mlflow.pyfunc.load_model("FOLDER")
(denoised,) = model.predict([noisy])  # noisy: uint8, uint16, or floats in [0, 1], (H, W) or (H, W, C)
```

With MLflow's server:

```sh
pip install -r FOLDER/requirements.txt
mlflow models serve --model-uri FOLDER --port 5001 --env-manager local
{request}
```"""


def _loading(_: Facts) -> str:
    return f"""\
## What loading executes

MLflow imports and executes `{CODE}`, with the rights of whoever loads the model. Read it before you load a
model from somebody else; it is one file. `{NETWORK}` is data that onnxruntime interprets, `{WEIGHTS}`
holds numbers only, and nothing is unpickled. degrain itself executes nothing of this folder: it reads `{WEIGHTS}`
and `{TRIAL}`."""


def _provenance(facts: Facts) -> str:
    trial = facts.trial
    return f"""\
## Where it comes from

- Commit: `{trial.origin.commit}`, degrain {escaped(trial.origin.degrain)}
- Key of the trial: `{trial.key}`
- SHA-256 of `{WEIGHTS}`: `{trial.weights_sha256}`
- Computed on {escaped(trial.place.device)}, {escaped(trial.place.machine)}, in {escaped(trial.place.precision)}

`{TRIAL}` has every setting; `{MLMODEL}` and requirements.txt are MLflow's, and {CARD} is this page."""
