"""Format a comparison of two runs: what was tested, what could not be tested, and how certain the result is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.escape import escape_markdown
from tasks.config.labels import BASELINE_NAMES, label
from tasks.evaluation.metrics import METRICS
from tasks.figures.verdict_labels import verdict_label
from tasks.reporting.formatting import format_p_value
from tasks.reporting.run_diff import ALPHA, list_changes, list_missing
from tasks.reporting.verdict_format import (
    format_difference,
    format_limits,
    format_score,
    format_size,
    join_labels,
    pluralize,
)
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.significance import EQUIVALENT, INCONCLUSIVE, MIN_SEEDS, NOT_SIGNIFICANT
from tasks.storage.runs import RunRecord

Row = Mapping[Any, Any]


def format_diff(
    table: pd.DataFrame, before: RunRecord, after: RunRecord, escape: Callable[[object], str] = escape_markdown
) -> str:
    """Format a comparison of two runs as Markdown.

    Args:
        table: From `compare_runs`.
        before: One run.
        after: The other run.
        escape: Escapes names and sentences; on a terminal nothing is Markdown syntax.
    """
    rows, metric = table.to_dict("records"), METRICS[table["metric"].iloc[0]]
    unit = metric.unit
    changes = list_changes(before, after) or ["nothing that the runs recorded"]
    findings = [*format_result(rows), *format_scope(rows, list_missing(before, after)), *format_certainty(rows)]
    lines = [
        f"# {escape(before.name)} → {escape(after.name)}", "",
        escape(before.info.source), "",
        *_bullets(findings, escape),
        f"| Architecture | Before ({unit.symbol}) | After ({unit.symbol}) | Difference ({unit.difference}) "
        "[95% interval] | p | Seeds | Result | Time |",
        "|---|---:|---:|---|---:|---:|---|---:|",
        *(_format_row(row, escape) for row in rows), "",
        "Changed:", "", *_bullets(changes, escape),
        f"Test {metric.text}.{metric.direction} Intervals and p-values are those of a single architecture. Time is the "
        "CPU time of the "
        "training after divided by that before; (d) is the ratio of the durations, where CPU time is not known.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _bullets(texts: list[str], escape: Callable[[object], str]) -> list[str]:
    return [*(f"- {escape(text)}" for text in texts), ""]


def format_result(rows: Sequence[Row]) -> list[str]:
    """Format which architectures changed significantly."""
    sentences = []
    for verdict in ("worse", "better"):
        changed = [
            f"{label(row['architecture'])} ({format_difference(row['difference'], row['metric'])}, 95% interval "
            f"{format_limits(row['low'], row['high'], row['metric'])})"
            for row in rows if row["verdict"] == verdict
        ]  # fmt: skip
        if changed:
            sentences.append(f"Significantly {verdict} after the change: {', '.join(changed)}.")
    if sentences or all(row["verdict"] == INCONCLUSIVE for row in rows):
        return sentences
    return ["No significant difference was found."]


def format_scope(rows: Sequence[Row], missing: Mapping[str, str]) -> list[str]:
    """Format which architectures were tested, and why others were not.

    Args:
        rows: Rows of `compare_runs`.
        missing: From `list_missing`.
    """
    tested = [row["architecture"] for row in rows if row["verdict"] != INCONCLUSIVE]
    untested = [
        f"{label(row['architecture'])} ({pluralize(row['seeds'], 'shared seed')}; at least {MIN_SEEDS} are needed)"
        for row in rows if row["verdict"] == INCONCLUSIVE
    ]  # fmt: skip
    untested += [f"{label(name)} ({reason})" for name, reason in missing.items()]
    sentences = [f"Tested: {join_labels(tested)}." if tested else "Nothing could be tested."]
    return [*sentences, f"Not tested: {'; '.join(untested)}."] if untested else sentences


def format_certainty(rows: Sequence[Row]) -> list[str]:
    """Format the error rate, what would have been detected, which variance is missing, and failed seeds."""
    tested = [row for row in rows if row["verdict"] != INCONCLUSIVE]
    return [
        *([_format_error_rate(rows)] if tested else []),
        *_format_detectable(tested),
        *_format_missing_variance(rows),
        *_format_failures(rows),
        "Results hold for models trained on the training texts of these runs. How much other training texts would "
        "change the scores is not estimated.",
    ]


def _format_error_rate(rows: Sequence[Row]) -> str:
    first = rows[0]
    groups = "" if first["test_groups"] == first["test_reviews"] else f" in {first['test_groups']:,} groups"
    return (
        f"If nothing changed, a significant difference is found in at most {ALPHA:.0%} of comparisons (each "
        f"architecture at a level of {ALPHA} / {len(rows)}, Bonferroni correction), based on "
        f"{pluralize(first['test_reviews'], 'test text')}{groups}."
    )


def _format_detectable(tested: Sequence[Row]) -> list[str]:
    sentences = []
    same = [row["architecture"] for row in tested if row["verdict"] == EQUIVALENT]
    if same:
        margin = format_size(ComparisonOptions.margin, tested[0]["metric"])
        sentences.append(f"Equivalent within {margin}: {join_labels(same)}.")
    sizes = [
        f"{label(row['architecture'])} {format_size(row['minimum_detectable_difference'], row['metric'])}"
        for row in tested
        if row["verdict"] == NOT_SIGNIFICANT and np.isfinite(row["minimum_detectable_difference"])
    ]
    if sizes:
        sentences.append(
            "Not significantly different does not mean equal. Smallest true difference that is detected with a power "
            f"of 80%, by estimate: {'; '.join(sizes)}."
        )
    return sentences


def _format_missing_variance(rows: Sequence[Row]) -> list[str]:
    """Format whose interval contains no seed variance: networks with fewer than two shared seeds, and baselines."""
    networks = [row["architecture"] for row in rows if row["seeds"] < 2 and row["architecture"] not in BASELINE_NAMES]
    baselines = [row["architecture"] for row in rows if row["architecture"] in BASELINE_NAMES]
    sentences = []
    if networks:
        sentences.append(
            f"Seed variance is unknown for {join_labels(networks)} (fewer than two shared seeds). The interval "
            "contains the variance between test texts only. Other seeds may differ."
        )
    if baselines:
        sentences.append(
            f"No seed variance: {join_labels(baselines)} (without seeds). The interval contains the variance between "
            "test texts only."
        )
    return sentences


def _format_failures(rows: Sequence[Row]) -> list[str]:
    failed = [
        f"{label(row['architecture'])} ({row['before_failed']} before, {row['after_failed']} after)"
        for row in rows if row["before_failed"] or row["after_failed"]
    ]  # fmt: skip
    return [f"Failed or diverged seeds: {', '.join(failed)}."] if failed else []


def _format_row(row: Row, escape: Callable[[object], str]) -> str:
    cells = [
        escape(label(row["architecture"])), _format_score(row, "before"), _format_score(row, "after"),
        _format_change(row), _format_p(row),
        _format_seeds(row), verdict_label(row["verdict"]), _format_time(row),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _format_score(row: Row, when: str) -> str:
    return format_score(row[when], row["metric"]).removesuffix(METRICS[row["metric"]].unit.sign)


def _format_change(row: Row) -> str:
    metric = row["metric"]
    difference = format_difference(row["difference"], metric).split()[0]
    return f"{difference} {format_limits(row['low'], row['high'], metric)}"


def _format_p(row: Row) -> str:
    """Format the p-value of a row; too few seeds are no test, so they have none."""
    return "not tested" if row["verdict"] == INCONCLUSIVE else str(format_p_value(row["p"]))


def _format_seeds(row: Row) -> str:
    return "none" if row["architecture"] in BASELINE_NAMES else str(row["seeds"])


def _format_time(row: Row) -> str:
    if np.isfinite(row["cpu_slower"]):
        return f"×{row['cpu_slower']:.2f}"
    return f"×{row['slower']:.2f} (d)" if np.isfinite(row["slower"]) else "not known"
