"""The Great Expectations suites of a data set: run over the manifest and its counts, with Data Docs for people."""

from __future__ import annotations

import datetime
import html
import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from degrain.artifacts.validation import Expectation
from degrain.ingest.datasets.spec import DatasetSpec, Expected
from degrain.params.data import ValidateParams

# A data set of 16 bits whose brightest value, in 8-bit levels, is below has 14 bits or fewer in files of 16.
DARKEST = 64.0


# Names of the expectations: of groups that have a published size, of images, of pairs, and of 16-bit images.
_OF_COUNTS = ("fewer", "more")
_OF_IMAGES = ("count", "decodes", "path", "channels", "dtype", "width", "height", "flat", "saturated", "duplicate")
_OF_PAIRS = ("paired", "same_size", "psnr", "same_scene", "own_clean")
_OF_DEEP = ("bits",)


def names(dataset: DatasetSpec, labels: list[str]) -> list[str]:
    """Return the names of the expectations that images of a data set may be held against.

    Args:
        dataset: The data set.
        labels: The classes that the study wants; all if empty.
    """
    expected = dataset.expected
    counted = bool(expected.counts) and (not labels or "label" in expected.count_by)
    return [
        "groups",
        *(_OF_COUNTS if counted else ()),
        *_OF_IMAGES,
        *(_OF_PAIRS if dataset.pairs else ()),
        "light",
        *(_OF_DEEP if "uint16" in expected.dtypes else ()),
    ]


@dataclass(frozen=True)
class Limits:
    """What a study expects: its own words where it has some, else the data set's."""

    min_images: int
    channels: list[int]
    dtypes: list[str]
    side: tuple[int, int]
    min_std: float
    max_saturated: float
    psnr: tuple[float, float]
    min_correlation: float

    @classmethod
    def of(cls, expected: Expected, params: ValidateParams) -> Limits:
        """Lay a study's words over a data set's."""
        smallest, largest = expected.side

        def chosen(wanted: Any, default: Any) -> Any:
            return default if wanted is None else wanted

        return cls(
            params.min_images,
            list(chosen(params.channels, expected.channels)),
            list(expected.dtypes),
            (chosen(params.min_side, smallest), chosen(params.max_side, largest)),
            chosen(params.min_std, expected.min_std),
            chosen(params.max_saturated, expected.max_saturated),
            chosen(params.psnr, expected.psnr),
            chosen(params.min_correlation, expected.min_correlation),
        )


def counts(listed: pd.DataFrame, expected: Expected, params: ValidateParams, labels: list[str]) -> pd.DataFrame:
    """Count the images of each group that was published, or is there.

    Args:
        listed: The whole listing, before any limit.
        expected: What was published.
        params: Whether a part of it will do.
        labels: The classes that the study wants; all if empty.

    Returns:
        One row per group: group, images, least, most. Groups that nobody has counted may be of any size.
    """
    columns = list(expected.count_by)
    sizes = listed[columns].fillna("?").groupby(columns).size()
    found = {"/".join(group) if isinstance(group, tuple) else str(group): int(n) for group, n in sizes.items()}
    published: Mapping[str, int] = expected.counts
    if labels and "label" in expected.count_by:
        place = expected.count_by.index("label")
        published = {group: count for group, count in published.items() if group.split("/")[place] in labels}
    elif labels:
        published = {}
    groups = sorted({*found, *published})
    least = [0 if params.partial else published.get(group, 0) for group in groups]
    most = [published.get(group, 0 if published else math.inf) for group in groups]
    return pd.DataFrame(
        {"group": groups, "images": [float(found.get(group, 0)) for group in groups], "least": least, "most": most}
    ).astype({"least": "float64", "most": "float64"})


def run(
    name: str,
    dataset: DatasetSpec,
    manifest: pd.DataFrame,
    groups: pd.DataFrame,
    params: ValidateParams,
    docs: Path,
    run_name: str,
) -> list[Expectation]:
    """Hold a manifest against what the study expects, and write Data Docs.

    Args:
        name: Of the data set; names the suites.
        dataset: What it must be like.
        manifest: One row per image, see `degrain.ingest.datasets.manifest`.
        groups: One row per group of images, see `counts`.
        params: What the study says otherwise.
        docs: Folder for the Data Docs site; its index.html is the entrance.
        run_name: What names the run in them, see `degrain.artifacts.validation.run_name`.

    Returns:
        What came of each, in a fixed order; what does not hold it is named by the images' paths or the groups' names,
        and empty when the failure concerns no single one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NOTE: Great Expectations warns of its own dependencies' deprecations.
        import great_expectations as gx

        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        context = _context(gx, docs)
        rules = gx.expectations
        limits = Limits.of(dataset.expected, params)
        group_rules = _group_rules(rules, params, groups)
        of_groups = _run(gx, context, f"{name}-counts", run_name, _escaped(groups), "group", group_rules)
        image_rules = _image_rules(rules, limits, dataset.pairs) + _meaning_rules(rules, manifest)
        of_images = _run(gx, context, name, run_name, _escaped(_plain(manifest)), "path", image_rules)
        return [*of_groups, *of_images]


def _context(gx: Any, docs: Path) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    for site in list(context.variables.data_docs_sites):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        "degrain",
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(docs.resolve()),
            },
        },
    )
    return context


Rule = tuple[str, str, Any]


def _run(
    gx: Any, context: Any, name: str, run_name: str, table: pd.DataFrame, key: str, expected: list[Rule]
) -> list[Expectation]:
    batch = context.data_sources.add_pandas(name).add_dataframe_asset(key).add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name, expectations=[rule for _, _, rule in expected]))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=name,
            validation_definitions=[definition],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["degrain"])],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [key]},
        )
    )
    # NOTE: without a time it takes a name for one that reads like a date, and fails at a digest of digits alone.
    run = gx.RunIdentifier(run_name=run_name, run_time=datetime.datetime.now(datetime.UTC))
    outcome = checkpoint.run(batch_parameters={"dataframe": table}, run_id=run)
    (results,) = [one.results for one in outcome.run_results.values()]
    by_rule = {_signature(result.expectation_config): result for result in results}
    return [_summary(name, text, by_rule[_signature(rule.configuration)], key) for name, text, rule in expected]


def _plain(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest in types that Great Expectations compares: pandas' missing values and integers are beyond it."""
    plain = manifest.astype({"width": "float64", "height": "float64", "channels": "float64"})
    texts = [column for column, dtype in manifest.dtypes.items() if str(dtype) in ("string", "boolean")]
    plain = plain.astype(dict.fromkeys(texts, "object"))
    return plain.where(plain.notna(), None)


def _escaped(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts are harmless in HTML: Great Expectations puts values into its pages as they are.

    NOTE: `$` begins a placeholder in its texts.
    """
    texts = [column for column in table if table[column].dtype == object]
    return table.assign(**{str(column): table[column].map(_escape, na_action="ignore") for column in texts})


def _escape(value: object) -> object:
    return html.escape(value).replace("$", "&#36;") if isinstance(value, str) else value


def _group_rules(rules: Any, params: ValidateParams, groups: pd.DataFrame) -> list[Rule]:
    above = rules.ExpectColumnPairValuesAToBeGreaterThanB
    least = "" if params.partial else "no fewer images, and "
    some = ("groups", "some images", rules.ExpectTableRowCountToBeBetween(min_value=1))
    if groups["most"].eq(math.inf).all():
        return [some]  # nobody has published how many there should be
    return [
        some,
        (
            "fewer",
            "as many images of each class, scene or part as were published",
            above(column_A="images", column_B="least", or_equal=True),
        ),
        (
            "more",
            f"{least}no more images of each class, scene or part than were published",
            above(column_A="most", column_B="images", or_equal=True),
        ),
    ]


def _image_rules(rules: Any, limits: Limits, pairs: bool) -> list[Rule]:
    """Name, text for people, and rule. The row count comes first: a rule over no rows would pass.

    What could not be decoded has no statistics; it fails "decodes", and the other rules pass over it.
    """
    channels = " or ".join(map(str, limits.channels))
    depths = " or ".join({"uint8": "8", "uint16": "16"}[dtype] for dtype in limits.dtypes)
    (smallest, largest), std, saturated = limits.side, limits.min_std, limits.max_saturated
    between, among = rules.ExpectColumnValuesToBeBetween, rules.ExpectColumnValuesToBeInSet
    unique, count, missing = (
        rules.ExpectColumnValuesToBeUnique,
        rules.ExpectTableRowCountToBeBetween,
        rules.ExpectColumnValuesToBeNull,
    )
    what = "pairs" if pairs else "images"
    common = [
        ("count", f"at least {limits.min_images} {what}", count(min_value=limits.min_images)),
        ("decodes", "every image decodes", missing(column="error")),
        ("path", "every path once", unique(column="path")),
        ("channels", f"{channels} channels", among(column="channels", value_set=limits.channels)),
        ("dtype", f"{depths} bits a channel", among(column="dtype", value_set=limits.dtypes)),
        (
            "width",
            f"{smallest} to {largest} pixels wide",
            between(column="width", min_value=smallest, max_value=largest),
        ),
        (
            "height",
            f"{smallest} to {largest} pixels high",
            between(column="height", min_value=smallest, max_value=largest),
        ),
        ("flat", f"standard deviation of at least {std:g} levels", between(column="std", min_value=std)),
        (
            "saturated",
            f"at most {saturated:.0%} of the values black or white",
            between(column="saturated", max_value=saturated),
        ),
        ("duplicate", "no image with the pixels of another", missing(column="duplicate_of")),
    ]
    if not pairs:
        return common
    (least, most), least_alike = limits.psnr, limits.min_correlation
    return [
        *common,
        ("paired", "every image has its partner, by name", missing(column="unpaired")),
        (
            "same_size",
            "noisy and clean image of the same size, channels and depth",
            among(column="same_size", value_set=[True]),
        ),
        ("psnr", f"PSNR of {least:g} to {most:g} dB", between(column="psnr", min_value=least, max_value=most)),
        (
            "same_scene",
            f"noisy and clean show the same scene: correlation of at least {least_alike:g} at low resolution",
            between(column="correlation", min_value=least_alike),
        ),
        ("own_clean", "no clean image that belongs to another scene instance", missing(column="shared_with")),
    ]


def _meaning_rules(rules: Any, manifest: pd.DataFrame) -> list[Rule]:
    """What values stand for must be the same in all images, and 16 bits must be used where files have them."""
    lights = manifest["light"].dropna()
    most = str(lights.mode().iloc[0]) if len(lights) else "srgb"
    words = {"srgb": "the sRGB curve", "linear": "linear light"}[most]
    one_light = rules.ExpectColumnValuesToBeInSet(column="light", value_set=[most])
    found: list[Rule] = [("light", f"values in {words}, as in most images", one_light)]
    if manifest["highest"].notna().any() and most == "srgb":
        text = "of 16 bits the upper two are used; if white is elsewhere, data.white says where"
        found.append(("bits", text, rules.ExpectColumnMaxToBeBetween(column="highest", min_value=DARKEST)))
    return found


def _signature(config: Any) -> tuple[str, Any]:
    return config.type, config.kwargs.get("column") or config.kwargs.get("column_A")


def _summary(name: str, text: str, result: Any, key: str) -> Expectation:
    failing = result.result.get("unexpected_index_list") or []
    images = sorted({html.unescape(str(row[key])) for row in failing})
    return Expectation(name=name, text=text, success=bool(result.success), groups=key == "group", images=images)
