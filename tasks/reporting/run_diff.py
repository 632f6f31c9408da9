"""Compare two runs on the same data set, such as before and after a change."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES, in_display_order
from tasks.statistics.comparison import compare
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.ranking import MAJORITY_BASELINE, differences_to
from tasks.storage.runs import RunRecord
from tasks.tuning.search_space import SEARCH_SPACE

ALPHA = 0.05  # family-wise error rate over all architectures
DIFF_COLUMNS = [
    "architecture", "before", "after", "difference", "low", "high", "p", "seeds", "verdict", "noise",
    "minimum_detectable_difference", "before_failed", "after_failed", "test_reviews", "test_groups", "slower",
    "cpu_slower", "metric",
]  # fmt: skip
# Settings that do not affect the results.
IGNORED_SETTINGS = {"run_name", "results", "nightly_date", "vectors", "vectors_frozen"}  # vectors are on their own
Row = dict[str, Any]


def compare_runs(before: RunRecord, after: RunRecord) -> pd.DataFrame:
    """Compare the test score of each architecture that two runs share, by the statistics of the report.

    The metric is the main metric of the second run.

    Seeds and reviews are paired if both runs have them. Each architecture is tested at `ALPHA` divided by the number of
    architectures (Bonferroni correction). The majority class is left out.

    Args:
        before: One run.
        after: The other run.

    Returns:
        One row per architecture: before, after (mean score), difference (after minus before) with its 95%
        interval low and high, p (of the pair, not corrected), seeds (shared), verdict (of after compared with before,
        see `PairDifference`), noise ("seeds and reviews", or "reviews" if the seed variance is unknown or there is
        none), minimum_detectable_difference (with a power of 80%; NaN if nothing was tested), before_failed and
        after_failed (failed and diverged seeds), test_reviews, test_groups (that count as independent), slower and
        cpu_slower (training time and CPU time after divided by those before; NaN if unknown), and metric.

    Raises:
        UserError: If the runs are on different data, or share no architecture.
    """
    _check_same_data(before, after)
    names = in_display_order(set(before.trials["architecture"]) & set(after.trials["architecture"]))
    names = [name for name in names if name != MAJORITY_BASELINE]
    if not names:
        both = " and ".join(escape_terminal(run.name) for run in (before, after))
        raise UserError(f"Runs {both} have no architecture in common.")
    runs = {"before": before, "after": after}
    predictions = {when: run.table("predictions") for when, run in runs.items()}
    trials = {when: run.table("trials") for when, run in runs.items()}
    metric = after.info.metric
    options = ComparisonOptions(metric=metric, alpha=ALPHA / len(names))
    rows = [
        {"architecture": name, "metric": metric, **_compare_architecture(name, predictions, trials, options),
         "slower": _ratio(name, trials, "train_seconds"), "cpu_slower": _ratio(name, trials, "cpu_seconds")}
        for name in names
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=DIFF_COLUMNS)


def _check_same_data(before: RunRecord, after: RunRecord) -> None:
    if before.info.fingerprint == after.info.fingerprint:
        return
    runs = [
        escape_terminal(f"{run.name} is on {run.info.source} ({run.info.fingerprint[:16]})") for run in (before, after)
    ]
    raise UserError(f"Run {', run '.join(runs)}. Only runs on the same reviews can be compared.")


def _compare_architecture(
    name: str,
    predictions: Mapping[str, pd.DataFrame],
    trials: Mapping[str, pd.DataFrame],
    options: ComparisonOptions,
) -> Row:
    """Compare the predictions of one architecture, as if "before" and "after" were two architectures."""

    def select(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        own = [
            frame[frame["architecture"].astype(str) == name].assign(architecture=when) for when, frame in frames.items()
        ]
        return pd.concat(own, ignore_index=True)

    deterministic = ("before", "after") if name in BASELINE_NAMES else ()
    options = replace(options, deterministic=deterministic)
    frames = compare(select(predictions), select(trials)[["architecture", "seed", "status"]], options)
    metric = options.metric
    (pair,) = frames["pairs"].query("metric == @metric").to_dict("records")
    change = differences_to(frames["pairs"], "before", metric)["after"]
    test = frames["summary"].query("split == 'test' and metric == @metric").set_index("architecture")["mean"]
    failed = {pair["first"]: pair["first_failed"], pair["second"]: pair["second_failed"]}
    return {
        "before": test["before"], "after": test["after"], "difference": change.difference, "low": change.low,
        "high": change.high, "p": pair["p"], "seeds": pair["seeds"], "verdict": change.verdict, "noise": pair["noise"],
        "minimum_detectable_difference": frames["power"]["minimum_detectable_difference"].iloc[0],
        "before_failed": failed["before"], "after_failed": failed["after"],
        **frames["setup"][["test_reviews", "test_groups"]].iloc[0],
    }  # fmt: skip


def _ratio(name: str, trials: Mapping[str, pd.DataFrame], column: str) -> float:
    """Return the mean of a time of one architecture after divided by that before; NaN if one of them is unknown."""
    before, after = (
        frame.loc[frame["architecture"].astype(str) == name, column].mean() if column in frame else np.nan
        for frame in (trials["before"], trials["after"])
    )
    return float(after / before) if before > 0 else float("nan")


def list_missing(before: RunRecord, after: RunRecord) -> dict[str, str]:
    """Return why architectures of only one run, or without scores in one, were not compared, by architecture."""
    runs = {run.name: set(run.table("trials")["architecture"].astype(str)) for run in (before, after)}
    scored = {run.name: set(run.trials["architecture"].astype(str)) for run in (before, after)}
    missing = {}
    for name in in_display_order(set().union(*runs.values()) - {MAJORITY_BASELINE}):
        absent = [run for run, names in runs.items() if name not in names]
        diverged = [run for run, names in scored.items() if name not in names and run not in absent]
        reasons = [*(f"not in {run}" for run in absent), *(f"all seeds diverged in {run}" for run in diverged)]
        if reasons:
            missing[name] = ", ".join(reasons)
    return missing


def list_changes(before: RunRecord, after: RunRecord) -> list[str]:
    """List the settings, recipes of a search, versions and hardware in which two runs differ.

    Hardware that one run did not record is no difference.
    """
    tuned = (
        {*before.info.recipes, *after.info.recipes} & {*before.trials["architecture"]} & {*after.trials["architecture"]}
    )
    parts: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "settings": (before.info.settings, after.info.settings),
        "word vectors": ({"file": _describe_vectors(before)}, {"file": _describe_vectors(after)}),
        "recipes": (_recipe_values(before, tuned), _recipe_values(after, tuned)),
        "versions": (before.info.versions, after.info.versions),
        "hardware": (
            {name: value for name, value in before.info.hardware.items() if name in after.info.hardware},
            {name: value for name, value in after.info.hardware.items() if name in before.info.hardware},
        ),
    }
    return [
        f"{part}: {name} {old.get(name)} → {new.get(name)}"
        for part, (old, new) in parts.items()
        for name in sorted({*old, *new} - IGNORED_SETTINGS)
        if old.get(name) != new.get(name)
    ]


def _describe_vectors(run: RunRecord) -> str:
    """Return the word vectors of a run by their content: a file of the same name may hold others."""
    vectors = run.info.vectors
    if vectors is None:
        return "none"
    return f"{vectors.source} (SHA-256 {vectors.sha256[:16]}…, {'frozen' if vectors.frozen else 'trained further'})"


def _recipe_values(run: RunRecord, architectures: Collection[str]) -> dict[str, Any]:
    """Return the searched parameters of some architectures, each by the names of architecture and parameter."""
    return {
        f"{name} {parameter}": getattr(run.recipe_of(name), parameter)
        for name in architectures for parameter in SEARCH_SPACE
    }  # fmt: skip
