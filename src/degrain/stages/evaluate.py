"""Stage evaluate: trials, test patches and whole photographs -> scores, ranking, metrics, plots and examples."""

from __future__ import annotations

import logging

from degrain import console, files
from degrain.artifacts.metrics import Metrics
from degrain.evaluation import examples, measurement, plots, ranking, results, summary
from degrain.ingest.datasets import manifest
from degrain.machine import compute
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.stages import EVALUATED, METRICS, PLOTS, PREPARED, TRIALS, VALIDATED
from degrain.studies import array_probes, network_probes
from degrain.trials import of_study

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Measure everything on the same data and rank the grid."""
    files.require_writable(EVALUATED, METRICS, PLOTS)
    known, validation = manifest.read(VALIDATED, params)
    store = PatchStore.open(PREPARED, params)
    store.check_manifest(validation.manifest_sha256)
    device = compute.prepare_torch(params.train.device, compute.threads())
    trials = of_study.read(TRIALS, params, store)
    histories = of_study.histories(TRIALS, trials)
    done = [trial for trial in trials if trial.is_done]
    of_study.check_weights(TRIALS, done)
    network_probes.check_networks(params.train.models, store.channels, store.patch_size)
    array_probes.check_metrics()
    array_probes.check_baselines(params.evaluate.baselines, store.channels)
    with console.progress("evaluate", measurement.count(params.evaluate, done)) as advance:
        noisy, clean = examples.patches(store, params.report.strips)
        measured = measurement.measure(params.evaluate, store, done, TRIALS, device, noisy, advance)
    with files.new_folder(EVALUATED) as folder:
        pictures = folder / results.EXAMPLES
        examples.write(pictures, store, measured, clean)
        examples.write_animations(pictures / "animations", store, measured.denoisers, params.report.frames)
        store.require_unchanged()
        ranked = results.write(folder, measured, trials, known, store, params.report)
    Metrics.of(ranked, measured.means).write(METRICS)
    with files.new_folder(PLOTS) as folder:
        plots.write(folder, ranked, measured.means, histories)
    score = summary.headline(ranked.identity)
    best = ranking.best_baseline(ranked.baseline_scores) or "identity"
    shown = {name: summary.text(score, measured.means[name][score]) for name in (ranked.champion, best, "identity")}
    log.info(
        "best: %s, %s on the %s; best classical: %s, %s; noisy: %s",
        ranked.champion,
        shown[ranked.champion],
        summary.MEASURES[score],
        best,
        shown[best],
        shown["identity"],
    )
    if ranked.stand_in:
        log.info("%s", ranked.stand_in)
