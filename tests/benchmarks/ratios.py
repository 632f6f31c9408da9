"""The benchmark's arithmetic: from what was measured to ratios and shares, each with its spread over the repeats.

A repeat is one run of the plain script and one of the flow, the one right after the other: `{"plain": …, "flow": …}`.
Ratios are made within a repeat, for the machine may be faster or slower at the next.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

Repeat = Mapping[str, Any]
GIGA = 1e9


def spread(values: Sequence[float]) -> dict[str, float]:
    """Give the median of the repeats, the lowest and the highest."""
    return {"median": median(values), "low": min(values), "high": max(values)}


def sgemm_share(flops: float, seconds: float, peak_gflops: float) -> float:
    """Say what share of the peak so many floating-point operations in so many seconds are, 0 to 1."""
    return flops / (seconds * peak_gflops * GIGA)


def overhead(wall: float, busy: float, workers: int) -> float:
    """Say what share of the wall time the workers did not train for, 0 to 1.

    Args:
        wall: Seconds.
        busy: Seconds of all trials together, from the beginning of each task run in its worker to its end.
        workers: Processes that could train at once.
    """
    return (wall - busy / workers) / wall


def points(repeat: Repeat) -> dict[str, float]:
    """Subtract the plain script's test accuracies from the flow's, in points, by architecture."""
    plain, flow = repeat["plain"]["accuracy"], repeat["flow"]["accuracy"]
    return {name: 100 * (flow[name] - plain[name]) for name in plain}


def paces(repeat: Repeat) -> dict[str, float]:
    """Divide the flow's training reviews a second, in one process of one thread, by the plain script's."""
    plain, flow = repeat["plain"]["samples_a_second"], repeat["flow"]["samples_a_second"]
    return {name: flow[name] / plain[name] for name in plain}


def by_architecture(repeats: Sequence[Repeat], measure: Callable[[Repeat], Mapping[str, float]]) -> dict[str, Any]:
    """Give the spread of a measure that each repeat has for every architecture."""
    found = [measure(repeat) for repeat in repeats]
    return {name: spread([each[name] for each in found]) for name in found[0]}


def of_length(repeats: Sequence[Repeat], peak_gflops: float) -> dict[str, Any]:
    """Sum up the repeats at one number of tokens.

    Args:
        repeats: What was measured, at least one.
        peak_gflops: The sgemm peak of all cores together.
    """

    def over(measure: Callable[[Repeat, Mapping[str, Any]], float]) -> dict[str, float]:
        return spread([measure(repeat, repeat["flow"]) for repeat in repeats])

    def training(flow: Mapping[str, Any]) -> float:
        return float(flow["stages"]["train"]["seconds"])

    return {
        "plain_seconds": over(lambda repeat, _: repeat["plain"]["seconds"]),
        "flow_seconds": over(lambda _, flow: flow["seconds"]),
        "speedup": over(lambda repeat, flow: repeat["plain"]["seconds"] / flow["seconds"]),
        "sgemm_share": over(lambda _, flow: sgemm_share(flow["flops"], training(flow), peak_gflops)),
        "sgemm_share_of_words": over(lambda _, flow: sgemm_share(flow["flops_of_words"], training(flow), peak_gflops)),
        "sgemm_share_of_busy_cores": over(
            lambda _, flow: sgemm_share(
                flow["flops"], sum(flow["train_seconds"].values()) / flow["workers"], peak_gflops
            )
        ),
        "sgemm_share_of_plain": over(
            lambda repeat, flow: sgemm_share(
                flow["flops_at_fixed_length"], sum(repeat["plain"]["fit_seconds"].values()), peak_gflops
            )
        ),
        "padding": over(lambda _, flow: 1 - flow["flops_of_words"] / flow["flops"]),
        "overhead": over(lambda _, flow: overhead(flow["seconds"], flow["busy_seconds"], flow["workers"])),
        "overhead_in_training": over(lambda _, flow: overhead(training(flow), flow["busy_seconds"], flow["workers"])),
        "worker_peak_mb": over(lambda _, flow: flow["worker_peak_mb"]),
        "plain_peak_mb": over(lambda repeat, _: repeat["plain"]["peak_mb"]),
        "plain_samples_a_second": by_architecture(repeats, lambda repeat: repeat["plain"]["samples_a_second"]),
        "flow_samples_a_second": by_architecture(repeats, lambda repeat: repeat["flow"]["samples_a_second"]),
        "later_samples_a_second": by_architecture(repeats, lambda repeat: repeat["flow"]["later_samples_a_second"]),
        "pace": by_architecture(repeats, paces),
        "plain_accuracy": by_architecture(repeats, lambda repeat: repeat["plain"]["accuracy"]),
        "flow_accuracy": by_architecture(repeats, lambda repeat: repeat["flow"]["accuracy"]),
        "points": by_architecture(repeats, points),
    }


def line(result: Mapping[str, Any]) -> dict[str, float]:
    """Make the last line: of several lengths the worse share of the peak, overhead and memory, the mean of accuracy.

    Args:
        result: `lengths` (repeats by number of tokens), `sgemm` (with `peak_gflops`) and `cached_rerun_seconds`.
    """
    summaries = {length: of_length(each, result["sgemm"]["peak_gflops"]) for length, each in result["lengths"].items()}
    differences = [
        difference for repeats in result["lengths"].values() for each in repeats for difference in points(each).values()
    ]
    return {
        **{f"speedup_{length}": round(summary["speedup"]["median"], 2) for length, summary in summaries.items()},
        "accuracy_difference": round(fmean(differences), 2),
        "sgemm_share": round(min(summary["sgemm_share"]["median"] for summary in summaries.values()), 3),
        "overhead": round(max(summary["overhead"]["median"] for summary in summaries.values()), 3),
        "cached_rerun_seconds": round(median(result["cached_rerun_seconds"]), 1),
        "worker_peak_gb": round(max(summary["worker_peak_mb"]["high"] for summary in summaries.values()) / 1_000, 2),
    }
