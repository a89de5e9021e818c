"""The model card: what people and the Hugging Face Hub read."""

from __future__ import annotations

import re

import pytest
import yaml

from degrain.noise.unknown import UnknownNoise
from degrain.packaging import card
from tests.artifacts import records
from tests.packaging import packages


def test_its_head_is_that_of_the_hub() -> None:
    text = card.text(packages.facts(records.trial()), [])
    _, head, _ = text.split("---\n", 2)
    described = yaml.safe_load(head)
    assert described["license"] == "unknown"
    assert described["library_name"] == "degrain"
    assert described["pipeline_tag"] == "image-to-image"
    assert described["datasets"] == ["photos"]
    assert described["metrics"] == ["psnr", "ssim"]
    (model,) = described["model-index"]
    (result,) = model["results"]
    assert result["dataset"] == {"type": "photos", "name": "Nine <b>photographs</b>: test patches"}
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [("psnr", 30.25), ("ssim", 0.85)]


def test_it_shows_the_scores_beside_those_of_what_it_had_to_beat() -> None:
    text = card.text(packages.facts(records.trial()), [])
    assert "| **unet-adam-mse** | 30.25 dB | 0.850 |" in text
    assert "| nlm | 29.50 dB | 0.750 |" in text
    assert "| noisy input | 20.50 dB | 0.250 |" in text
    assert "- passed, against the noisy input: 30.25 dB to 20.50 on test patches (+9.75; 2 sources" in text


def test_what_people_wrote_shows_as_it_is() -> None:
    body = card.text(packages.facts(records.trial()), []).split("---\n", 2)[2]
    assert r"A \<script\>study\</script\> \# of \`mine\`" in body
    assert r"CC0 \| others" in body
    assert r"\[them\](https://example.com)" in body
    assert not re.search(r"(?<!\\)<[a-z/]", body)


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31mb", "\u202eabc", "![x](http://y)", "| a |", "# a"])
def test_an_escaped_text_is_one_printable_line(text: str) -> None:
    found = card.escaped(text)
    assert found.isprintable()
    assert not re.search(r"(?<!\\)[\[\]|#!]", found)


def test_it_names_what_was_trained_and_no_folder() -> None:
    made = records.trial()
    text = card.text(packages.facts(made), ["examples/1.png"])
    for told in (made.key, str(made.weights_sha256), made.origin.commit, "NASA: CC0", "gaussian, sigma 25.0, clip yes"):
        assert told in text
    assert "](examples/1.png)" in text
    assert "jane-doe" not in text


def test_it_says_where_no_clean_image_was_seen() -> None:
    noise = UnknownNoise(kind="unknown")
    assert noise.stand_in in card.text(packages.facts(records.trial(noise=noise)), [])
    assert "No clean image" not in card.text(packages.facts(records.trial()), [])


def test_it_says_what_else_decided_the_weights() -> None:
    plain = card.text(packages.facts(records.trial()), [])
    assert not any(words in plain for words in ("First weights", "exposure", "divided by"))
    training = dict(records.trial().training) | {"start": "best", "start_sha256": "5" * 64, "exposure": [0.05, 1.0]}
    text = card.text(packages.facts(records.trial(training=training), shrink=[1, 2, 3]), [])
    assert f"First weights: those of `best`, which comes with degrain (SHA-256 `{'5' * 64}`)" in text
    assert "Before that, the first weights were trained on other data" in text
    assert "exposure 0.05 to 1.0" in text
    assert "cut from each image with its sides divided by 1, 2, 3" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"light": "linear"}, "arrays only"),
        ({"light": "linear", "channels": 4}, "Bayer mosaics"),
        ({"model": "bernier2021"}, "images of 32x32 pixels only"),
    ],
)
def test_it_says_what_the_model_takes(change: dict[str, object], words: str) -> None:
    assert words in card.text(packages.facts(records.trial(**change)), [])
