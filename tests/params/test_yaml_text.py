"""YAML means one thing: what DVC reads is what is read here, and what others take for something else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from degrain.params.yaml_text import Mistake, load

PLAIN = [
    "1",
    "-7",
    "+3",
    "0",
    "1.5",
    ".5",
    "1e-3",
    "1.",
    "-2E+3",
    "true",
    "False",
    "null",
    "~",
    "",
    "0x1F",
    "0o17",
    "adam",
]
PLAIN += ["1e", "e3", "0.5.1", "1-2", "a b", "ye", "offline", "12:61", "2026-1", "_1", "infinity", ".inf", "-.INF"]


# JSON writes letters beyond the first 65,536 as two, which YAML does not put together.
LETTERS = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
TEXT, SHORT = st.text(LETTERS), st.text(LETTERS, max_size=80)


def as_dvc_reads(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("scalar", PLAIN)
def test_a_value_is_what_dvc_reads(scalar: str) -> None:
    text = f"key: {scalar}\nlist: [1, {scalar or 'null'}]"
    mine, others = load(text), as_dvc_reads(text)
    assert mine == others
    assert type(mine["key"]) is type(others["key"])


@pytest.mark.parametrize(
    ("scalar", "reason"),
    [
        *((word, "is true or false to some programs") for word in ("yes", "No", "ON", "off")),
        *((number, "is read in base 8") for number in ("010", "-07", "0008")),
        *((number, "is a number to some programs only") for number in ("1_000", "0b11", "1_0.5", ".5_")),
        *((number, "is a number to some programs only; quote it") for number in ("0x_1", "0x1_F", "-0x1F")),
        *((number, "is a number in base 60") for number in ("1:30", "12:30:45", "1:30.5")),
        *((date, "is a date") for date in ("2026-11-27", "2026-1-2 10:00:00")),
    ],
)
def test_what_means_several_things_is_refused_with_its_path_and_line(scalar: str, reason: str) -> None:
    for text, where in ((f"a:\n  b: {scalar}", "a.b"), (f"a:\n- {scalar}", "a.0")):
        with pytest.raises(Mistake) as caught:
            load(text)
        assert str(caught.value).startswith(f"{where} is {scalar} (line 2), which {reason}")
    assert load(f"a: '{scalar}'") == {"a": scalar}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "a stands there twice: in line 1 and in line 3"),
        ("a:\n  b: 1\n  'b': 2", "a.b stands there twice: in line 2 and in line 3"),
        ("a: {b: 1, b: 1}", "a.b stands there twice: in line 1 and in line 1"),
        ("1: 2", "the key 1 is no text (line 1)"),
        ("a:\n  null: 2", "the key null in a is no text (line 2)"),
        ("? [1]\n: 2", "the key a list or a mapping is no text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "the key << in c is no text"),
        ("a: !!python/object:os.system x", "a has the tag"),
        ("a: !secret x", "a has the tag !secret"),
        *(
            (f"b: 1\na: {tagged}", "line 2 has the tag ")
            for tagged in ("!!null 5", "!!str 5", '!!int "5"', "!!float 1", "! x", "!!map {}", "!!seq []")
        ),
        ("a: [1", "no readable YAML in line 1"),
        ("a: 1\n\tb: 2", "no readable YAML in line 2"),
        ("a: 1\n---\nb: 2", "no readable YAML in line 2"),
        ("a: \x07", "no readable YAML"),
        ("[" * 50 + "]" * 50, "0.0.0... is nested more than 20 deep"),
        ("[" * 100_000, "nested more than 20 deep"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
            ),
            "more than 100000 values",
        ),
    ],
    ids=lambda value: value[:30],
)
def test_a_mistake_is_said_in_one_line(text: str, words: str) -> None:
    with pytest.raises(Mistake) as caught:
        load(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_aliases_are_followed_and_nothing_is_nothing() -> None:
    assert load("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}
    assert load("") is None
    assert load("# only a comment") is None


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**300), 10**300)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXT,
        # NOTE: a key of YAML has at most 1024 letters, and JSON writes some in twelve.
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SHORT, inner, max_size=4),
        max_leaves=12,
    )
)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert load(json.dumps(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load(text)
    except Mistake as error:
        mistake = str(error)
    else:
        mistake = ""
    assert "\n" not in mistake
