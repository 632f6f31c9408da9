"""Two runs on the same reviews, before and after a change: is the difference real, and what was changed."""

from typing import Any

import pandas as pd

from tasks.config.errors import UserError
from tasks.config.escape import escape_markdown, escape_terminal
from tasks.config.labels import BASELINE_NAMES, in_order, label
from tasks.statistics.comparison import compare
from tasks.storage.runs import SavedRun

ALPHA = 0.05  # over all architectures together
COLUMNS = [
    "architecture", "before", "after", "difference", "low", "high", "p", "seeds", "verdict", "slower",
]  # fmt: skip
VERDICTS = {"first better": "better", "second better": "worse"}


def compare_two(before: SavedRun, after: SavedRun) -> pd.DataFrame:
    """Compare the test accuracies of each architecture that two runs share, by the statistics of the report.

    Seeds and reviews are paired where both runs have them. Each architecture is tested at `ALPHA` over their number
    (Bonferroni), so that together they claim a false difference in at most that share of comparisons.

    Args:
        before: The one run.
        after: The other.

    Returns:
        A row an architecture: before, after (mean accuracies), difference (after less before) with its 95% interval,
        p (of the pair), seeds (shared), verdict (`better`, `worse`, `equivalent`, `not separable`, `too few seeds`) and
        slower (training time after over before).

    Raises:
        UserError: If they are of different reviews, or share no architecture.
    """
    if before.facts["fingerprint"] != after.facts["fingerprint"]:
        named = [
            escape_terminal(f"{run.name} is on {run.facts['source']} ({run.facts['fingerprint'][:16]})")
            for run in (before, after)
        ]
        raise UserError(f"Run {', run '.join(named)}. Only runs on the same reviews can be compared.")
    predictions = [run.table("predictions") for run in (before, after)]
    trials = [run.table("trials") for run in (before, after)]
    shared = in_order(set(before.trials["architecture"]) & set(after.trials["architecture"]) - {"majority"})
    if not shared:
        names = " and ".join(escape_terminal(run.name) for run in (before, after))
        raise UserError(f"Runs {names} have no architecture in common.")
    rows = []
    for name in shared:
        parts = [_called(frame, name, when) for frame, when in zip(predictions, ("before", "after"), strict=True)]
        seconds = [frame.loc[frame["architecture"] == name, "train_seconds"].mean() for frame in trials]
        rows.append(_row(name, pd.concat(parts, ignore_index=True), alpha=ALPHA / len(shared), seconds=seconds))
    return pd.DataFrame(rows, columns=COLUMNS)


def _called(frame: pd.DataFrame, architecture: str, when: str) -> pd.DataFrame:
    return frame[frame["architecture"].astype(str) == architecture].assign(architecture=when)


def _row(name: str, predictions: pd.DataFrame, *, alpha: float, seconds: list[float]) -> dict[str, Any]:
    deterministic = ("before", "after") if name in BASELINE_NAMES else ()
    frames = compare(predictions, alpha=alpha, deterministic=deterministic)
    (pair,) = frames["pairs"].query("metric == 'accuracy'").to_dict("records")
    test = frames["summary"].query("split == 'test' and metric == 'accuracy'").set_index("architecture")["mean"]
    sign = 1 if pair["first"] == "after" else -1
    low, high = sorted((sign * pair["low"], sign * pair["high"]))
    verdict = VERDICTS.get(pair["verdict"], pair["verdict"]) if sign == 1 else _turned(pair["verdict"])
    return {
        "architecture": name, "before": test["before"], "after": test["after"], "difference": sign * pair["difference"],
        "low": low, "high": high, "p": pair["p"], "seeds": pair["seeds"], "verdict": verdict,
        "slower": seconds[1] / seconds[0],
    }  # fmt: skip


def _turned(verdict: str) -> str:
    return {"first better": "worse", "second better": "better"}.get(verdict, verdict)


def changes(before: SavedRun, after: SavedRun) -> list[str]:
    """List what the runs differ in, beside their names: settings, versions, hardware."""
    found = []
    for part in ("settings", "versions", "hardware"):
        old, new = before.facts[part], after.facts[part]
        for name in sorted({*old, *new} - {"run_name", "results", "night"}):
            if old.get(name) != new.get(name):
                found.append(f"{part}: {name} {old.get(name)} → {new.get(name)}")
    return found


def in_markdown(table: pd.DataFrame, before: SavedRun, after: SavedRun) -> str:
    """Write the comparison as a report for people."""
    lines = [
        f"# {escape_markdown(before.name)} → {escape_markdown(after.name)}", escape_markdown(before.facts["source"]),
        "| Architecture | Before (%) | After (%) | Difference (points) [95% interval] | p | Seeds | Verdict | Time |",
        "|---|---:|---:|---|---:|---:|---|---:|",
    ]  # fmt: skip
    for row in table.to_dict("records"):
        points = " ".join([f"{100 * row['difference']:+.2f}", f"[{100 * row['low']:+.2f}, {100 * row['high']:+.2f}]"])
        means = f"{100 * row['before']:.2f} | {100 * row['after']:.2f}"
        end = f"{row['p']:.4f} | {row['seeds']} | {row['verdict']} | ×{row['slower']:.2f}"
        lines.append(f"| {escape_markdown(label(row['architecture']))} | {means} | {points} | {end} |")
    changed = changes(before, after) or ["nothing that the runs wrote down"]
    return "\n".join([
        "\n\n".join(lines[:2]), "", *lines[2:], "", "Changed:", "",
        *(f"- {escape_markdown(change)}" for change in changed), "",
        f"Each architecture is tested at {ALPHA} over {len(table)}, so that all together claim a false difference "
        "in at most one of twenty comparisons.", "",
    ])  # fmt: skip
