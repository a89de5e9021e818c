"""How the champion's alias moves: broken off anywhere, and by several at once, journal and alias agree."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from degrain.artifacts.registration import Promotion
from degrain.errors import ParamsError, RegistryError, Unseen
from degrain.registry import aliases, journal, loading, promotion, publishing, tags, tracking, turns, verifying_journal
from degrain.registry.checks import Finding
from tests.artifacts import records
from tests.conftest import ROOT
from tests.test_cli import degrain_here

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src")}


@pytest.fixture(autouse=True)
def workspace(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PAUSE", 0.01)


@pytest.fixture
def client(workspace: None) -> Iterator[Any]:
    """A registry with three versions of "tiny", of which none is the champion."""
    with tracking.connect() as client:
        for number in (1, 2, 3):
            run = client.create_run(tracking.experiment(client, "tiny")).info.run_id
            folder = Path(f"model{number}")
            made = records.model(folder, f"weights {number}", key=f"key{number}")
            source = publishing.log_model(client, run, folder, made, {})
            scored = {tags.score("test_psnr"): str(30 + number), tags.DATA: "d" * 64}
            aliases.register(client, "tiny", source, run, records.version_tags(made, folder) | scored)
        yield client


def make_champion(client: Any, number: int, reason: str = "beats everything") -> None:
    with turns.turn(client, "tiny") as require:
        promotion.promote(client, client.get_model_version("tiny", str(number)), reason, require)


def held(client: Any) -> dict[str, str]:
    return {name: str(number) for name, number in client.get_registered_model("tiny").aliases.items()}


def moves(client: Any) -> list[tuple[str | None, str]]:
    return [(entry.before, entry.version) for entry in journal.read(client, "tiny")]


def test_every_move_is_recorded_with_who_and_why(client: Any) -> None:
    make_champion(client, 1)
    make_champion(client, 2, "wins")
    make_champion(client, 2, "nothing happens")
    assert held(client) == {"champion": "2", "previous": "1"}
    first, second = journal.read(client, "tiny")
    assert (first.before, first.version, first.reason) == (None, "1", "beats everything")
    assert (second.before, second.version, second.reason, second.who) == ("1", "2", "wins", turns.who())
    assert (second.scores, second.data_sha256) == ({"test_psnr": 32.0}, "d" * 64)
    assert second.weights_sha256 == client.get_model_version("tiny", "2").tags[tags.WEIGHTS]
    journal.copy([first, second], Path("results/promotions.jsonl"))
    lines = Path("results/promotions.jsonl").read_text().splitlines()
    assert [Promotion.model_validate_json(line) for line in lines] == [first, second]


STEPS = [
    "set_registered_model_alias",  # previous
    "delete_registered_model_alias",  # challenger
    "set_registered_model_tag",  # begun
    "set_registered_model_alias",  # champion
    "set_registered_model_tag",  # done
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS)))
def test_what_is_broken_off_is_completed_by_the_same_again(
    client: Any, monkeypatch: pytest.MonkeyPatch, step: int, when: str
) -> None:
    moved = break_off(client, monkeypatch, step, when)
    assert held(client)["champion"] == ("2" if moved else "1")
    make_champion(client, 2)
    assert held(client) == {"champion": "2", "previous": "1"}
    assert moves(client) == [(None, "1"), ("1", "2")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS)))
def test_what_is_broken_off_and_followed_by_another_is_told_as_it_was(
    client: Any, monkeypatch: pytest.MonkeyPatch, step: int, when: str
) -> None:
    moved = break_off(client, monkeypatch, step, when)
    make_champion(client, 3)
    assert held(client)["champion"] == "3"
    assert moves(client) == [(None, "1"), *([("1", "2"), ("2", "3")] if moved else [("1", "3")])]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS)))
def test_what_is_broken_off_is_one_finding_whose_advice_mends_it(
    client: Any, monkeypatch: pytest.MonkeyPatch, step: int, when: str
) -> None:
    break_off(client, monkeypatch, step, when)
    found = verified(client)
    _, begun = journal.read_all(client, "tiny")
    if begun is None:
        # Nothing is written down yet, or everything is; `previous` alone may be early.
        assert all(finding.what.startswith("the alias previous of tiny is at version 1") for finding in found)
    else:
        (finding,) = found
        assert finding.what.startswith("the promotion of version 2 of tiny, ")
        assert "degrain promote 2 --reason ..." in finding.todo
        assert promotion.by_hand(client, "tiny", "2", "once more") == "1"
        assert verified(client) == []
    make_champion(client, 2)
    assert verified(client) == []


def test_a_challenge_writes_down_what_was_broken_off(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    break_off(client, monkeypatch, STEPS.index("set_registered_model_tag", 3), "before")
    with turns.turn(client, "tiny") as require:
        promotion.challenge(client, client.get_model_version("tiny", "3"), ["does not beat version 2"], require)
    assert moves(client) == [(None, "1"), ("1", "2")]
    assert verified(client) == []


def verified(client: Any) -> list[Finding]:
    versions = [client.get_model_version("tiny", number) for number in ("1", "2", "3")]
    checks = verifying_journal.agree(client, "tiny", versions, aliases.current(client, "tiny"), None)
    return [finding for check in checks for finding in check.findings]


def break_off(client: Any, monkeypatch: pytest.MonkeyPatch, step: int, when: str) -> bool:
    """Promote version 2, a challenger, over version 1, be killed at a step; tell whether the alias moved."""
    make_champion(client, 1)
    client.set_registered_model_alias("tiny", aliases.CHALLENGER, "2")
    kind, left = type(client), STEPS[: step + 1]

    def dying(name: str) -> Any:
        real = getattr(kind, name)

        def call(*arguments: Any, **options: Any) -> Any:
            assert left.pop(0) == name
            if left:
                return real(*arguments, **options)
            if when == "after":
                real(*arguments, **options)
            raise KeyboardInterrupt

        return call

    with monkeypatch.context() as patch:
        for name in set(STEPS):
            patch.setattr(kind, name, dying(name))
        with pytest.raises(KeyboardInterrupt):
            make_champion(client, 2)
    return step > 3 or (step == 3 and when == "after")


def test_a_version_is_promoted_by_hand_and_rolled_back(client: Any) -> None:
    assert promotion.by_hand(client, "tiny", "1", "the first") is None
    assert promotion.by_hand(client, "tiny", "3", "better skies") == "1"
    assert promotion.roll_back(client, "tiny", "maze patterns") == ("3", "1")
    assert held(client) == {"champion": "1", "previous": "3"}
    assert client.get_model_version("tiny", "3").tags[tags.WITHDRAWN] == "maze patterns"
    with pytest.raises(
        RegistryError, match=r"^no other version of tiny was the champion before version 1 and was not "
    ):
        promotion.roll_back(client, "tiny", "that one as well")
    assert tags.WITHDRAWN not in client.get_model_version("tiny", "1").tags
    assert [entry.reason for entry in journal.read(client, "tiny")] == ["the first", "better skies", "maze patterns"]
    promotion.by_hand(client, "tiny", "3", "after all")
    assert tags.WITHDRAWN not in client.get_model_version("tiny", "3").tags


def test_a_version_that_is_promoted_is_no_longer_called_refused(client: Any) -> None:
    make_champion(client, 1)
    with turns.turn(client, "tiny") as require:
        promotion.challenge(client, client.get_model_version("tiny", "2"), ["does not beat version 1"], require)
    assert client.get_model_version("tiny", "2").tags[tags.REFUSED] == "does not beat version 1"
    promotion.by_hand(client, "tiny", "2", "better skies")
    assert tags.REFUSED not in client.get_model_version("tiny", "2").tags


def test_rolling_back_twice_goes_back_twice(client: Any) -> None:
    for number in ("1", "2", "3"):
        promotion.by_hand(client, "tiny", number, "better")
    assert promotion.roll_back(client, "tiny", "bad") == ("3", "2")
    assert promotion.roll_back(client, "tiny", "bad, too") == ("2", "1")
    assert {number for number in "123" if tags.WITHDRAWN in client.get_model_version("tiny", number).tags} == {"2", "3"}


def test_a_rollback_that_is_refused_marks_nothing(client: Any) -> None:
    for number in ("1", "2"):
        promotion.by_hand(client, "tiny", number, "better")
    client.set_model_version_tag("tiny", "1", tags.WEIGHTS, "0" * 64)
    with pytest.raises(RegistryError, match="the weights of version 1 of tiny are missing or damaged"):
        promotion.roll_back(client, "tiny", "bad")
    assert tags.WITHDRAWN not in client.get_model_version("tiny", "2").tags
    assert held(client)["champion"] == "2"


def test_a_rollback_waits_for_its_turn_and_undoes_what_is_there_then(client: Any) -> None:
    make_champion(client, 1)
    make_champion(client, 3)
    script = (
        "import logging\nfrom degrain.registry import promotion, tracking\n"
        "logging.getLogger('degrain').setLevel('INFO')\nlogging.getLogger('degrain').addHandler(logging.StreamHandler())\n"
        "with tracking.connect() as client: print(*promotion.roll_back(client, 'tiny', 'bad'))\n"
    )
    with turns.turn(client, "tiny") as require:
        rolling = subprocess.Popen(
            [sys.executable, "-c", script], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert rolling.stderr is not None
        while "waiting for" not in (line := rolling.stderr.readline()):
            assert line or rolling.poll() is None
        promotion.promote(client, client.get_model_version("tiny", "2"), "meanwhile", require)
    assert rolling.communicate(timeout=60)[0].split() == ["2", "3"]
    assert held(client)["champion"] == "3"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_a_champion_that_cannot_be_looked_at_is_not_taken_for_lost(
    client: Any, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def failing(**_: Any) -> str:
        raise error

    make_champion(client, 1)
    monkeypatch.setattr("mlflow.artifacts.download_artifacts", failing)
    for use in (loading.proven, loading.loss):
        with pytest.raises(Unseen, match=r"^version 1 of tiny cannot be looked at: "):
            use(client, client.get_model_version("tiny", "1"))


def test_what_cannot_be_promoted_is_one_line(client: Any) -> None:
    with pytest.raises(RegistryError, match=r"^tiny has no champion$"):
        promotion.roll_back(client, "tiny", "x")
    promotion.by_hand(client, "tiny", "1", "x")
    with pytest.raises(RegistryError, match=r"^version 1 of tiny is the champion already$"):
        promotion.by_hand(client, "tiny", "1", "x")
    with pytest.raises(RegistryError, match=r"^no other version of tiny was the champion before"):
        promotion.roll_back(client, "tiny", "x")
    client.set_model_version_tag("tiny", "2", tags.WEIGHTS, "0" * 64)
    with pytest.raises(RegistryError, match="the weights of version 2 of tiny are missing or damaged"):
        promotion.by_hand(client, "tiny", "2", "x")
    with pytest.raises(RegistryError, match=r"^MLflow at .*not found"), tracking.connect() as other:
        promotion.by_hand(other, "tiny", "9", "x")
    assert held(client) == {"champion": "1"}
    assert moves(client) == [(None, "1")]


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "no JSON", "[" * 2000])
def test_a_journal_that_was_changed_is_one_line(client: Any, text: str) -> None:
    make_champion(client, 1)
    client.set_registered_model_tag("tiny", f"{journal.PREFIX}000001", text or " ")
    with pytest.raises(
        RegistryError, match=r"^the tag degrain\.promotion\.000001 of tiny is no promotion \("
    ) as caught:
        make_champion(client, 2)
    assert "\n" not in str(caught.value)
    assert held(client) == {"champion": "1"}


def test_a_long_reason_is_cut(client: Any) -> None:
    make_champion(client, 1, "x" * 10_000)
    (text,) = [value for name, value in client.get_registered_model("tiny").tags.items() if journal.PREFIX in name]
    assert len(text) < tags.LONGEST
    assert json.loads(text)["reason"].endswith("xxx...")


# ---- turns ----------------------------------------------------------------------------------------------------------


def test_a_turn_leaves_nothing_and_is_no_study_s_model(client: Any) -> None:
    with turns.turn(client, "tiny"):
        assert client.get_registered_model(turns.lock_name("tiny")).tags[turns.OWNER] == turns.who()
    assert [model.name for model in client.search_registered_models()] == ["tiny"]


def owner(client: Any, code: str) -> None:
    """Have another process take the turn and end by `code`."""
    script = (
        "import os\nfrom degrain.registry import tracking, turns\n"
        f"with tracking.connect() as client, turns.turn(client, 'tiny'):\n    {code}\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False, env=ENVIRONMENT)


def test_a_turn_whose_owner_was_killed_is_taken_at_once(client: Any) -> None:
    owner(client, "os.kill(os.getpid(), 9)")
    assert client.get_registered_model(turns.lock_name("tiny"))
    before = time.monotonic()
    make_champion(client, 1)
    assert time.monotonic() - before < turns.FORGOTTEN / 10
    assert [model.name for model in client.search_registered_models()] == ["tiny"]


def test_a_turn_of_another_machine_is_taken_after_ten_minutes_with_a_warning(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = {turns.TOKEN: "other", turns.OWNER: "ann@elsewhere", turns.PLACE: "another-boot/1 7/99"}
    client.create_registered_model(turns.lock_name("tiny"), tags=elsewhere)
    looked: list[float] = []

    def later(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            monkeypatch.setattr(turns, "FORGOTTEN", -1.0)

    monkeypatch.setattr(turns.time, "sleep", later)
    with caplog.at_level(logging.INFO):
        make_champion(client, 1)
    assert len(looked) == 3, "until then it is waited for"
    assert caplog.messages == [
        "waiting for ann@elsewhere, who promotes a version of tiny",
        "the turn of ann@elsewhere is taken away after ten minutes",
    ]
    assert held(client) == {"champion": "1"}


def test_a_turn_that_is_old_by_this_machine_s_clock_alone_is_waited_for(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = {turns.TOKEN: "other", turns.OWNER: "ann@elsewhere", turns.PLACE: "another-boot/1 7/99"}
    held_by_ann = turns.lock_name("tiny")
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: 1_700_000_000.0)  # that of the server is years behind
        client.create_registered_model(held_by_ann, tags=elsewhere)
    looked: list[float] = []

    def ends_at_last(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            client.delete_registered_model(held_by_ann)

    monkeypatch.setattr(turns.time, "sleep", ends_at_last)
    make_champion(client, 1)
    assert len(looked) == 3
    assert "is taken away" not in caplog.text


def test_without_the_turn_nothing_is_promoted(client: Any) -> None:
    version = client.get_model_version("tiny", "1")
    with turns.turn(client, "tiny") as require:
        client.delete_registered_model(turns.lock_name("tiny"))
        with pytest.raises(RegistryError, match="was lost after ten minutes"):
            promotion.promote(client, version, "x", require)
    assert held(client) == {}
    assert moves(client) == []


def test_a_turn_that_ends_while_mlflow_looks_who_has_it_is_asked_for_again(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, asked = client.create_registered_model, []

    def ended(name: str, **rest: Any) -> Any:
        asked.append(name)
        if len(asked) == 1:
            return client.get_registered_model("nobody")
        return create(name, **rest)

    monkeypatch.setattr(client, "create_registered_model", ended)
    make_champion(client, 1)
    assert len(asked) == 2
    assert held(client) == {"champion": "1"}


@pytest.mark.slow
def test_processes_that_promote_at_once_take_turns(client: Any) -> None:
    script = (
        "import sys\nfrom degrain.registry import promotion, tracking\n"
        "for _ in range(3):\n"
        "    with tracking.connect() as client, promotion.turn(client, 'tiny') as require:\n"
        "        promotion.promote(client, client.get_model_version('tiny', sys.argv[1]), sys.argv[1], require)\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", script, str(number)], env=ENVIRONMENT) for number in (1, 2, 3)]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    told = moves(client)
    assert told[0][0] is None
    assert [before for before, _ in told[1:]] == [version for _, version in told[:-1]], "each follows the one before"
    assert held(client)["champion"] == told[-1][1]
    assert {version for _, version in told} == {"1", "2", "3"}
    assert [model.name for model in client.search_registered_models()] == ["tiny"]


@pytest.mark.parametrize("reason", ["", " \n\t"])
def test_a_blank_reason_is_refused_before_anything_moves(client: Any, reason: str) -> None:
    make_champion(client, 1)
    with pytest.raises(ParamsError, match="blank"):
        promotion.by_hand(client, "tiny", "2", reason)
    with pytest.raises(ParamsError, match="blank"):
        promotion.roll_back(client, "tiny", reason)
    assert (held(client), moves(client)) == ({"champion": "1"}, [(None, "1")])


def test_a_reason_that_the_journal_cannot_hold_whole_is_refused_before_anything_moves(client: Any) -> None:
    make_champion(client, 1)
    for move in (
        lambda reason: promotion.by_hand(client, "tiny", "2", reason),
        lambda reason: promotion.roll_back(client, "tiny", reason),
    ):
        with pytest.raises(
            ParamsError, match=r"^--reason has 2,001 characters, and the journal takes 2,000; shorten it$"
        ):
            move("x" * (journal.REASON + 1))
    assert (held(client), moves(client)) == ({"champion": "1"}, [(None, "1")])
    promotion.by_hand(client, "tiny", "2", "x" * journal.REASON)
    assert journal.read(client, "tiny")[-1].reason == "x" * journal.REASON
    for command in ("promote", "rollback"):
        shown = " ".join(degrain_here(Path(), command, "--help").stdout.replace("│", " ").split())
        assert f"in {journal.REASON:,} characters at most" in shown


def test_a_reason_of_any_bytes_fits_into_the_journal(client: Any) -> None:
    make_champion(client, 1)
    promotion.by_hand(client, "tiny", "2", "not UTF-8: \udcff\n" + "\x01" * 490)
    assert journal.read(client, "tiny")[-1].reason.startswith("not UTF-8: \\udcff \\x01")
    assert max(map(len, client.get_registered_model("tiny").tags.values())) < tags.LONGEST
    promotion.roll_back(client, "tiny", "\udcff")
    assert client.get_model_version("tiny", "2").tags[tags.WITHDRAWN] == "\\udcff"
