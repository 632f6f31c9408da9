"""Compare two runs on the same data set, such as before and after a change."""

import pandas as pd

from tasks.config.errors import UserError
from tasks.config.escape import escape_markdown, escape_terminal
from tasks.config.labels import BASELINE_NAMES, in_display_order, label
from tasks.figures.verdict_labels import verdict_label
from tasks.reporting.formatting import format_p_value
from tasks.reporting.verdict_format import join_labels
from tasks.statistics.comparison import compare
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.ranking import differences_to
from tasks.statistics.significance import INCONCLUSIVE
from tasks.storage.runs import RunRecord

ALPHA = 0.05  # family-wise error rate over all architectures
DIFF_COLUMNS = [
    "architecture", "before", "after", "difference", "low", "high", "p", "seeds", "verdict", "slower",
]  # fmt: skip
# Settings that do not affect the results.
IGNORED_SETTINGS = {"run_name", "results", "nightly_date"}


def compare_runs(before: RunRecord, after: RunRecord) -> pd.DataFrame:
    """Compare the test accuracy of each architecture that two runs share, by the statistics of the report.

    Seeds and reviews are paired if both runs have them. Each architecture is tested at `ALPHA` divided by the number of
    architectures (Bonferroni correction).

    Args:
        before: One run.
        after: The other run.

    Returns:
        One row per architecture: before, after (mean accuracy in [0, 1]), difference (after minus before) with its 95%
        interval low and high, p (of the pair, not corrected), seeds (shared), verdict (of after compared with before,
        see `PairDifference`) and slower (training time after divided by training time before).

    Raises:
        UserError: If the runs are on different data, or share no architecture.
    """
    _check_same_data(before, after)
    names = in_display_order(set(before.trials["architecture"]) & set(after.trials["architecture"]) - {"majority"})
    if not names:
        runs = " and ".join(escape_terminal(run.name) for run in (before, after))
        raise UserError(f"Runs {runs} have no architecture in common.")
    predictions = {"before": before.table("predictions"), "after": after.table("predictions")}
    seconds = [run.table("trials").groupby("architecture")["train_seconds"].mean() for run in (before, after)]
    rows = [
        {"architecture": name, **_compare_architecture(name, predictions, alpha=ALPHA / len(names)),
         "slower": seconds[1][name] / seconds[0][name]}
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


def _compare_architecture(name: str, predictions: dict[str, pd.DataFrame], *, alpha: float) -> dict[str, object]:
    """Compare the predictions of one architecture, as if "before" and "after" were two architectures."""
    parts = [
        frame[frame["architecture"].astype(str) == name].assign(architecture=run) for run, frame in predictions.items()
    ]
    deterministic = ("before", "after") if name in BASELINE_NAMES else ()
    options = ComparisonOptions(alpha=alpha, deterministic=deterministic)
    frames = compare(pd.concat(parts, ignore_index=True), options=options)
    (pair,) = frames["pairs"].query("metric == 'accuracy'").to_dict("records")
    change = differences_to(frames["pairs"], "before", "accuracy")["after"]
    test = frames["summary"].query("split == 'test' and metric == 'accuracy'").set_index("architecture")["mean"]
    return {
        "before": test["before"], "after": test["after"], "difference": change.difference, "low": change.low,
        "high": change.high, "p": pair["p"], "seeds": pair["seeds"], "verdict": change.verdict,
    }  # fmt: skip


def list_changes(before: RunRecord, after: RunRecord) -> list[str]:
    """List the settings, versions and hardware in which two runs differ."""
    parts = {
        "settings": (before.info.settings, after.info.settings),
        "versions": (before.info.versions, after.info.versions),
        "hardware": (before.info.hardware, after.info.hardware),
    }
    return [
        f"{part}: {name} {old.get(name)} → {new.get(name)}"
        for part, (old, new) in parts.items()
        for name in sorted({*old, *new} - IGNORED_SETTINGS)
        if old.get(name) != new.get(name)
    ]


def format_diff(table: pd.DataFrame, before: RunRecord, after: RunRecord) -> str:
    """Format a comparison of two runs as Markdown.

    Args:
        table: From `compare_runs`.
        before: One run.
        after: The other run.
    """
    changes = list_changes(before, after) or ["nothing that the runs recorded"]
    lines = [
        f"# {escape_markdown(before.name)} → {escape_markdown(after.name)}", "",
        escape_markdown(before.info.source), "",
        "| Architecture | Before (%) | After (%) | Difference (points) [95% interval] | p | Seeds | Result | Time |",
        "|---|---:|---:|---|---:|---:|---|---:|",
        *(_format_row(row) for row in table.to_dict("records")), "",
        *map(escape_markdown, format_unknown_variance(table)),
        "Changed:", "", *(f"- {escape_markdown(change)}" for change in changes), "",
        f"Test accuracy. Each architecture is tested at a significance level of {ALPHA} divided by {len(table)} "
        f"(Bonferroni correction), so that the family-wise error rate is at most {ALPHA}. Time is the training time "
        "after divided by the training time before.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _format_p(row: dict[object, object], p: float) -> str:
    """Format the p-value of a row; too few seeds are no test, so they have none."""
    return "not tested" if row["verdict"] == INCONCLUSIVE else str(format_p_value(p))


def format_unknown_variance(table: pd.DataFrame) -> list[str]:
    """Format the networks that share fewer than two seeds, whose interval contains no seed variance."""
    names = table.loc[(table["seeds"] < 2) & ~table["architecture"].isin(BASELINE_NAMES), "architecture"].tolist()
    if not names:
        return []
    return [
        f"Seed variance is unknown for {join_labels(names)} (fewer than two shared seeds). Other seeds may differ.",
        "",
    ]


def _format_row(row: dict[object, object]) -> str:
    before, after, difference, low, high, p, slower = (
        float(str(row[name])) for name in ("before", "after", "difference", "low", "high", "p", "slower")
    )
    cells = [
        escape_markdown(label(str(row["architecture"]))), f"{100 * before:.2f}", f"{100 * after:.2f}",
        f"{100 * difference:+z.2f} [{100 * low:+z.2f}, {100 * high:+z.2f}]", _format_p(row, p), str(row["seeds"]),
        verdict_label(str(row["verdict"])), f"×{slower:.2f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"
