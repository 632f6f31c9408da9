"""Tables of the benchmark: medians, with [minimum, maximum] if there is more than one repeat."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import pandas as pd

from tests.benchmarks import ratios


def format_spread(spread: Mapping[str, float], digits: int = 1, factor: float = 1) -> str:
    """Format a spread: `4.2 [4.0, 4.4]`, or `4.2` if all repeats are equal."""
    middle, low, high = (f"{factor * spread[name]:,.{digits}f}" for name in ("median", "low", "high"))
    return middle if low == high else f"{middle} [{low}, {high}]"


def format_tables(result: Mapping[str, Any], summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Return all tables as text.

    Args:
        result: The measurements.
        summaries: Summaries by number of tokens, from `ratios.summarize_repeats`.
    """
    return "\n\n".join(
        [
            header(result),
            _text(processes(summaries)),
            _text(architectures(summaries, result["speeds"])),
            _text(stage_table(result["lengths"])),
            footer(result),
        ]
    )


def _text(frame: pd.DataFrame) -> str:
    return frame.to_string(index=False)


def header(result: Mapping[str, Any]) -> str:
    """Return a line about data, hardware and versions."""
    sizes, hardware, versions = result["sizes"], result["machine"]["hardware"], result["machine"]["versions"]
    return (
        f"{sizes['train']:,} training, {sizes['validation']:,} validation and {sizes['test']:,} test reviews, "
        f"{sizes['epochs']} epochs, {sizes['repeats']} repeats; {hardware['cores']} cores of {hardware['processor']}, "
        f"{hardware['memory']}; TensorFlow {versions['tensorflow']}, Keras {versions['keras']}"
    )


def processes(summaries: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the comparison of the whole processes, with a column for each number of tokens."""
    rows = {
        "plain script (s)": ("plain_seconds", 1, 1),
        "flow (s)": ("flow_seconds", 1, 1),
        "ratio": ("speedup", 2, 1),
        "share of the sgemm peak in training (%)": ("sgemm_share", 1, 100),
        "  without padding (%)": ("sgemm_share_without_padding", 1, 100),
        "  of the cores while a network trains (%)": ("sgemm_share_of_busy_cores", 1, 100),
        "  plain script, during fit, with padding (%)": ("sgemm_share_of_plain", 1, 100),
        "padding among the flow's products (%)": ("padding", 1, 100),
        "overhead (%)": ("overhead", 1, 100),
        "  from the end of encoding to the last training's (%)": ("overhead_in_training", 1, 100),
        "peak memory of a worker (MB)": ("worker_peak_mb", 0, 1),
        "peak memory of the plain script (MB)": ("plain_peak_mb", 0, 1),
    }
    columns = {
        f"{length} tokens": [format_spread(summary[name], digits, factor) for name, digits, factor in rows.values()]
        for length, summary in summaries.items()
    }
    return pd.DataFrame({"": [name.ljust(max(map(len, rows))) for name in rows], **columns})


def architectures(summaries: Mapping[str, Mapping[str, Any]], speeds: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return training speed and test accuracy, with a row for each number of tokens and architecture."""
    rows = []
    for length, summary in summaries.items():
        for name in summary["speed_ratio"]:
            row = {
                "tokens": length,
                "architecture": name,
                "plain, reviews/s": format_spread(summary["plain_reviews_per_second"][name], 0),
                "flow, one thread": format_spread(summary["flow_reviews_per_second"][name], 0),
                "ratio": format_spread(summary["speed_ratio"][name], 2),
                "plain, accuracy %": format_spread(summary["plain_accuracy"][name], 2, 100),
                "flow": format_spread(summary["flow_accuracy"][name], 2, 100),
                "points": format_spread(summary["accuracy_difference"][name], 2),
            }
            if later := summary["later_reviews_per_second"]:
                row["flow, later epochs"] = format_spread(later[name], 0)
            if speeds:
                of_torch = [each["peer"][length][name] for each in speeds]
                row["PyTorch, one thread"] = format_spread(ratios.spread(of_torch), 0)
            rows.append(row)
    return pd.DataFrame(rows)


def stage_table(lengths: Mapping[str, list[Mapping[str, Any]]]) -> pd.DataFrame:
    """Return the median duration (s) and the maximum memory (MB) of each stage of the flow."""
    rows = []
    for length, repeats in lengths.items():
        for stage in repeats[0]["flow"]["stages"]:
            found = pd.DataFrame([repeat["flow"]["stages"][stage] for repeat in repeats])
            memory = found[["flow_mb", "all_mb"]].max()
            rows.append([length, stage, f"{found['seconds'].median():.1f}", *(f"{value:,.0f}" for value in memory)])
    return pd.DataFrame(rows, columns=["tokens", "stage", "s", "flow's process, MB", "all processes, MB"])


def footer(result: Mapping[str, Any]) -> str:
    """Return a line about what was measured once."""
    before, after = result["sgemm"]["best_before_and_after"]
    again, asked = median(result["cached_rerun_seconds"]), median(result["help_seconds"])
    return (
        f"sgemm peak of all cores: {before:.0f} GFLOP/s before, {after:.0f} after; the higher value is used. "
        f"Everything cached: {again:.1f} s; --help: {asked:.1f} s."
    )
