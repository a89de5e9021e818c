"""The gate: evidence is counted in sources, and by chance alone nobody passes more often than is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degrain.evaluation import gate
from degrain.metrics.psnr import BEST
from tests.artifacts import records

MEASURES = ["test_psnr", "photograph_psnr"]


def table(method: str, patches: Mapping[str, Sequence[float]], photographs: bool = True) -> pd.DataFrame:
    """Scores of the patches of each source, and of a photograph of it that is as good as their mean."""
    rows = [{"item": "patch", "unit": source, "value": value} for source, values in patches.items() for value in values]
    if photographs:
        rows += [{"item": "photograph", "unit": name, "value": np.mean(values)} for name, values in patches.items()]
    return pd.DataFrame(rows).assign(method=method, split="test", metric="psnr")


def against(
    mine: Mapping[str, Sequence[float]], its: Mapping[str, Sequence[float]], needed: float = 0.0, least: int = 6
) -> list[gate.Verdict]:
    return gate.judge(table("mine", mine), [gate.Rival("x", table("x", its), needed)], least)


def test_every_rival_must_be_beaten_by_every_measure() -> None:
    mine = table("mine", {"a": [30.0], "b": [31.0]})
    rivals = [
        gate.Rival("weak", table("weak", {"a": [29.0], "b": [29.0]}), 0.0),
        gate.Rival("equal", table("equal", {"a": [30.0], "b": [31.0]}), 0.0),
        gate.Rival("close", table("close", {"a": [29.8], "b": [30.8]}), 0.5),
    ]
    verdicts = gate.judge(mine, rivals, 6)
    assert [(v.rival, v.measure, v.passed) for v in verdicts] == [
        (name, measure, name == "weak") for name in ("weak", "equal", "close") for measure in MEASURES
    ]
    assert gate.refusals(verdicts)[::2] == [
        "30.50 dB on test patches does not beat equal (30.50 dB) (+0.00; 2 sources: too few for an interval, 0 won)",
        "30.50 dB on test patches does not beat close (30.30 dB) by 0.5 dB "
        "(+0.20; 2 sources: too few for an interval, 2 won)",
    ]


def test_images_without_photographs_are_judged_by_their_patches() -> None:
    mine, rival = (table(name, {"a": [value]}, photographs=False) for name, value in (("mine", 30.0), ("x", 29.0)))
    assert [verdict.measure for verdict in gate.judge(mine, [gate.Rival("x", rival, 0.0)], 6)] == ["test_psnr"]


def test_nothing_beats_what_is_perfect() -> None:
    assert not any(verdict.passed for verdict in against({"a": [BEST]}, {"a": [BEST]}))


def test_a_source_of_many_patches_counts_as_one() -> None:
    """Most patches are won, and most sources are lost."""
    mine = {"a": [31.0] * 100, "b": [29.0], "c": [29.0]}
    (patches, _) = against(mine, {name: [30.0] * len(values) for name, values in mine.items()})
    assert patches.gain == pytest.approx(-1 / 3, abs=1e-4)
    assert (patches.sources, patches.won, patches.passed) == (3, 1, False)


def test_few_sources_must_each_be_won() -> None:
    rival = {"a": [30.0], "b": [30.0], "c": [30.0]}
    assert all(verdict.passed for verdict in against({"a": [30.1], "b": [30.2], "c": [33.0]}, rival))
    for lost in (30.0, 29.99):
        (verdict, _) = against({"a": [lost], "b": [33.0], "c": [33.0]}, rival)
        assert (verdict.gain > 1, verdict.low, verdict.passed) == (True, None, False)
        assert gate.evidence(verdict) == "3 sources: too few for an interval, 2 won"


def test_with_enough_sources_the_lower_end_decides() -> None:
    rival = {str(number): [30.0] for number in range(6)}
    gains = [0.2, 0.3, 0.25, 0.22, 0.27, -0.01]
    mine = {str(number): [30.0 + gain] for number, gain in enumerate(gains)}
    (verdict, _) = against(mine, rival)
    # scipy.stats.t.interval of the same differences
    assert verdict.low == pytest.approx(np.mean(gains) - 2.570582 * np.std(gains, ddof=1) / np.sqrt(6), abs=1e-4)
    assert verdict.passed
    assert gate.evidence(verdict) == f"6 sources, at least {verdict.low:+.2f} with 95% confidence"
    assert not against(mine, rival, needed=0.2)[0].passed
    assert against(mine, rival, least=7)[0].low is None, "6 of 7 are too few"


@given(
    st.lists(st.floats(0, 60), min_size=2, max_size=12), st.lists(st.floats(0, 60), min_size=12, max_size=12), st.data()
)
def test_the_order_of_rows_and_the_names_of_sources_decide_nothing(
    mine: list[float], its: list[float], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.text(max_size=3), min_size=len(mine), max_size=len(mine), unique=True))
    whole = table("mine", {name: [value] for name, value in zip(names, mine, strict=True)})
    rival = table("x", {name: [value] for name, value in zip(names, its, strict=False)})
    first = gate.judge(whole, [gate.Rival("x", rival, 0.1)], 6)
    again = gate.judge(whole.sample(frac=1, random_state=0), [gate.Rival("x", rival[::-1], 0.1)], 6)
    assert [(verdict.gain, verdict.won, verdict.passed) for verdict in first] == [
        (verdict.gain, verdict.won, verdict.passed) for verdict in again
    ]
    for verdict in first:
        assert verdict.sources == len(mine)
        if verdict.passed:
            assert verdict.gain > 0.1


@pytest.mark.parametrize("sources", [6, 12, 30])
def test_of_trials_that_are_no_better_one_in_forty_passes(sources: int) -> None:
    draws = np.random.default_rng(0).normal(0, 0.3, (4000, sources))
    share = np.mean([gate.lower_end(differences) > 0 for differences in draws])
    assert share == pytest.approx(0.025, abs=0.008)


def test_what_every_trial_must_beat_are_the_noisy_input_and_the_classics(make_params) -> None:  # type: ignore[no-untyped-def]
    ranked = records.ranking(records.cell(), baselines={"nlm": {"settings": {}, "scores": records.scores(25.0)}})
    scores = pd.concat(
        [table(name, {"a": [value]}) for name, value in (("identity", 20.0), ("nlm", 25.0), ("t", 30.0))]
    )
    found = gate.rivals(scores, ranked, make_params(register={"gate": {"min_gain": 0.5}}).register_.gate)
    assert [(rival.name, rival.scores["value"].mean(), rival.min_gain) for rival in found] == [
        ("the noisy input", 20.0, 0.5),
        ("baseline nlm", 25.0, 0.5),
    ]
