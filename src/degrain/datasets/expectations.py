"""The Great Expectations suite of a data set: run over the manifest, with Data Docs for people."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from degrain.params import ValidateParams


def run(manifest: pd.DataFrame, params: ValidateParams, dataset: str, docs: Path) -> list[dict[str, Any]]:
    """Hold a manifest against what the study expects, and write Data Docs.

    Args:
        manifest: One row per image, see `degrain.datasets.manifest`.
        params: What is expected.
        dataset: Names the suite.
        docs: Folder for the Data Docs site; its index.html is the entrance.

    Returns:
        One result per expectation, in a fixed order: name, text for people, success, and the paths of the images
        that fail it (empty when the failure concerns no single image).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NOTE: Great Expectations warns of its own dependencies' deprecations.
        import great_expectations as gx

        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        return _run(gx, manifest, params, dataset, docs)


def _run(gx: Any, manifest: pd.DataFrame, params: ValidateParams, dataset: str, docs: Path) -> list[dict[str, Any]]:
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
    batch = (
        context.data_sources.add_pandas("manifest")
        .add_dataframe_asset("images")
        .add_batch_definition_whole_dataframe("all")
    )
    expected = _expectations(gx.expectations, params)
    suite = context.suites.add(gx.ExpectationSuite(dataset, expectations=[rule for _, _, rule in expected]))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=dataset, data=batch, suite=suite))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=dataset,
            validation_definitions=[definition],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["degrain"])],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["path"]},
        )
    )
    # NOTE: pandas' own missing values and nullable integers are more than Great Expectations' comparisons understand.
    plain = manifest.astype({"width": "float64", "height": "float64", "channels": "float64"}).astype(
        dict.fromkeys(("path", "source", "dtype", "sha256", "error"), "object")
    )
    plain = plain.where(plain.notna(), None)
    outcome = checkpoint.run(batch_parameters={"dataframe": plain})
    (results,) = [run.results for run in outcome.run_results.values()]
    by_rule = {_signature(result.expectation_config): result for result in results}
    return [_summary(name, text, by_rule[_signature(rule.configuration)]) for name, text, rule in expected]


def _expectations(rules: Any, params: ValidateParams) -> list[tuple[str, str, Any]]:
    """Name, text for people, and rule. The row count comes first: a rule over no rows would pass.

    What could not be decoded has no statistics; it fails "decodes", and the other rules pass over it.
    """
    channels = " or ".join(map(str, params.channels))
    side, std, saturated = params.min_side, params.min_std, params.max_saturated
    between, among = rules.ExpectColumnValuesToBeBetween, rules.ExpectColumnValuesToBeInSet
    unique, count = rules.ExpectColumnValuesToBeUnique, rules.ExpectTableRowCountToBeBetween
    return [
        ("count", f"at least {params.min_images} images", count(min_value=params.min_images)),
        ("decodes", "every image decodes", rules.ExpectColumnValuesToBeNull(column="error")),
        ("path", "every path once", unique(column="path")),
        ("channels", f"{channels} channels", among(column="channels", value_set=params.channels)),
        ("dtype", "8 or 16 bits a channel", among(column="dtype", value_set=["uint8", "uint16"])),
        ("width", f"at least {side} pixels wide", between(column="width", min_value=side)),
        ("height", f"at least {side} pixels high", between(column="height", min_value=side)),
        ("flat", f"standard deviation of at least {std:g} levels", between(column="std", min_value=std)),
        (
            "saturated",
            f"at most {saturated:.0%} of the values black or white",
            between(column="saturated", max_value=saturated),
        ),
        ("duplicate", "no two files with the same bytes", unique(column="sha256")),
    ]


def _signature(config: Any) -> tuple[str, str | None]:
    return config.type, config.kwargs.get("column")


def _summary(name: str, text: str, result: Any) -> dict[str, Any]:
    failing = result.result.get("unexpected_index_list") or []
    return {
        "name": name,
        "text": text,
        "success": bool(result.success),
        "images": sorted({str(row["path"]) for row in failing}),
    }
