"""Ratios and shares of the measurements, with their spread over the repeats.

A repeat is a run of the plain script followed by a run of the flow: `{"plain": …, "flow": …}`. Ratios are computed
within a repeat, because the speed of the machine may change between repeats.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

Repeat = Mapping[str, Any]
GIGA = 1e9


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, minimum and maximum over the repeats."""
    return {"median": median(values), "low": min(values), "high": max(values)}


def sgemm_share(flops: float, seconds: float, peak_gflops: float) -> float:
    """Return the floating-point operations per second as a share of the peak, 0 to 1."""
    return flops / (seconds * peak_gflops * GIGA)


def overhead(wall: float, busy: float, workers: int) -> float:
    """Return the share of the wall time in which a worker process did not run a trial, 0 to 1.

    Args:
        wall: Wall time of the run (s).
        busy: Total duration of the task runs of all trials (s).
        workers: Number of worker processes.
    """
    return (wall - busy / workers) / wall


def accuracy_differences(repeat: Repeat) -> dict[str, float]:
    """Return the test accuracy of the flow minus that of the plain script, in points, by architecture."""
    plain, flow = repeat["plain"]["accuracy"], repeat["flow"]["accuracy"]
    return {name: 100 * (flow[name] - plain[name]) for name in plain}


def speed_ratios(repeat: Repeat) -> dict[str, float]:
    """Return the training speed (reviews per second) of one worker process over that of the plain script."""
    plain, flow = repeat["plain"]["reviews_per_second"], repeat["flow"]["reviews_per_second"]
    return {name: flow[name] / plain[name] for name in plain}


def spread_by_architecture(
    repeats: Sequence[Repeat], measure: Callable[[Repeat], Mapping[str, float]]
) -> dict[str, Any]:
    """Return the spread over the repeats of a measure, by architecture."""
    found = [measure(repeat) for repeat in repeats]
    return {name: spread([each[name] for each in found]) for name in found[0]}


def summarize_repeats(repeats: Sequence[Repeat], peak_gflops: float) -> dict[str, Any]:
    """Return the spread of every measure over the repeats with one number of tokens.

    Args:
        repeats: At least one.
        peak_gflops: Peak of matrix products (sgemm) of all cores together.
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
        "sgemm_share_without_padding": over(
            lambda _, flow: sgemm_share(flow["flops_without_padding"], training(flow), peak_gflops)
        ),
        "sgemm_share_of_busy_cores": over(
            lambda _, flow: sgemm_share(
                flow["flops"], sum(flow["train_seconds"].values()) / flow["workers"], peak_gflops
            )
        ),
        "sgemm_share_of_plain": over(
            lambda repeat, flow: sgemm_share(
                flow["flops_padded"], sum(repeat["plain"]["fit_seconds"].values()), peak_gflops
            )
        ),
        "padding": over(lambda _, flow: 1 - flow["flops_without_padding"] / flow["flops"]),
        "overhead": over(lambda _, flow: overhead(flow["seconds"], flow["busy_seconds"], flow["workers"])),
        "overhead_in_training": over(lambda _, flow: overhead(training(flow), flow["busy_seconds"], flow["workers"])),
        "worker_peak_mb": over(lambda _, flow: flow["worker_peak_mb"]),
        "plain_peak_mb": over(lambda repeat, _: repeat["plain"]["peak_mb"]),
        "plain_reviews_per_second": spread_by_architecture(
            repeats, lambda repeat: repeat["plain"]["reviews_per_second"]
        ),
        "flow_reviews_per_second": spread_by_architecture(repeats, lambda repeat: repeat["flow"]["reviews_per_second"]),
        "later_reviews_per_second": spread_by_architecture(
            repeats, lambda repeat: repeat["flow"]["later_reviews_per_second"]
        ),
        "speed_ratio": spread_by_architecture(repeats, speed_ratios),
        "plain_accuracy": spread_by_architecture(repeats, lambda repeat: repeat["plain"]["accuracy"]),
        "flow_accuracy": spread_by_architecture(repeats, lambda repeat: repeat["flow"]["accuracy"]),
        "accuracy_difference": spread_by_architecture(repeats, accuracy_differences),
    }


def summary_line(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the content of the last line.

    Over the numbers of tokens: the lowest share of the peak, the highest overhead and memory, and the mean difference
    of accuracy.

    Args:
        result: `lengths` (repeats by number of tokens), `sgemm` (with `peak_gflops`) and `cached_rerun_seconds`.
    """
    summaries = {
        length: summarize_repeats(each, result["sgemm"]["peak_gflops"]) for length, each in result["lengths"].items()
    }
    differences = [
        difference
        for repeats in result["lengths"].values()
        for each in repeats
        for difference in accuracy_differences(each).values()
    ]
    return {
        **{f"speedup_{length}": round(summary["speedup"]["median"], 2) for length, summary in summaries.items()},
        "accuracy_difference": round(fmean(differences), 2),
        "sgemm_share": round(min(summary["sgemm_share"]["median"] for summary in summaries.values()), 3),
        "overhead": round(max(summary["overhead"]["median"] for summary in summaries.values()), 3),
        "cached_rerun_seconds": round(median(result["cached_rerun_seconds"]), 1),
        "worker_peak_gb": round(max(summary["worker_peak_mb"]["high"] for summary in summaries.values()) / 1_000, 2),
    }
