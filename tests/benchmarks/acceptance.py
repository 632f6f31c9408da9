"""The acceptance table: each goal of the project's performance, and what was measured.

A row whose measurement needs an option that was not given says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tests.benchmarks.ratios import spread
from tests.benchmarks.tables import format_spread

COLUMNS = ["", "goal", "measured", "reached"]
SPEEDUPS = {False: {"200": 3.0, "400": 4.5}, True: {"200": 1.3, "400": 1.9}}  # by `short`
SMALL_SECONDS = {"run": 20.0, "cached rerun": 5.0, "predict": 2.0, "help": 0.5}
Row = tuple[str, str, str, str]


def row(name: str, goal: float, values: Sequence[float], *, most: bool = False, digits: int = 2, unit: str = "") -> Row:
    """Return a row: the median with its range, and whether the median reaches the goal.

    Args:
        name: What was measured.
        goal: The goal.
        values: One value for each repeat.
        most: Whether the goal is an upper limit.
        digits: Decimals of the measured value.
        unit: Unit of both.
    """
    measured = spread(values)
    reached = measured["median"] <= goal if most else measured["median"] >= goal
    sign = "at most" if most else "at least"
    return name, f"{sign} {goal:g}{unit}", format_spread(measured, digits) + unit, "yes" if reached else "no"


def missing(name: str, option: str) -> Row:
    """Return a row of something that was not measured."""
    return name, "", f"not measured, see {option}", ""


def acceptance_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table.

    Args:
        result: The measurements of `bench.measure`, with `short`.
    """
    rows = [
        *speedup_rows(result["lengths"], short=result["short"]),
        *peer_rows(result["speeds"]),
        *accuracy_rows(result["accuracy"]),
        *overhead_rows(result["lengths"]),
        previous_row(result["previous"]),
        *small_rows(result["small"]),
        *memory_rows(result["lengths"]),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def speedup_rows(lengths: Mapping[str, Sequence[Mapping[str, Any]]], *, short: bool) -> list[Row]:
    """Compare the whole flow with the plain script, by number of tokens."""
    return [
        row(
            f"five architectures, equal work, relative to the plain script, {length} tokens", SPEEDUPS[short][length],
            [repeat["plain"]["seconds"] / repeat["flow"]["seconds"] for repeat in repeats],
        )
        for length, repeats in lengths.items()
    ]  # fmt: skip


def peer_rows(speeds: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]) -> list[Row]:
    """Compare the reviews per second of one core with PyTorch, by number of tokens and architecture.

    Args:
        speeds: What `commands.measure_speeds` returned in each round.
    """
    if not speeds:
        return [missing("training throughput of a core relative to PyTorch bf16", "--torch")]
    return [
        row(f"throughput of a core relative to PyTorch bf16, {length} tokens, {name}", 1.1,
            [each["pace"][length][name] / each["peer"][length][name] for each in speeds])
        for length, paces in speeds[0]["pace"].items() for name in paces
    ]  # fmt: skip


def accuracy_rows(accuracy: Mapping[str, Any]) -> list[Row]:
    """Compare the time to accuracy, see `time_to_accuracy`."""
    others = {"plain": "the plain script", "torch": "PyTorch bf16"}
    return [
        row(f"time to accuracy, relative to {others[side]}{never_reached(accuracy, side)}", 4.0,
            [time_to_accuracy(accuracy, side)])
        if accuracy[side] else missing(f"time to accuracy, relative to {others[side]}", "--torch")
        for side in others
    ]  # fmt: skip


def time_to_accuracy(accuracy: Mapping[str, Any], side: str) -> float:
    """Return the total time of another side until it reaches the accuracies of the flow, over that of the flow.

    A side that does not reach an accuracy counts with the time of its best epoch. The flow trains `workers`
    architectures at a time, the others one after the other on all cores.

    Args:
        accuracy: `own` (seconds and accuracy by architecture), `workers`, and for each side the epochs by architecture.
        side: "plain" or "torch".
    """
    other = sum(max(epochs, key=lambda epoch: epoch[1])[0] for epochs in accuracy[side].values())
    return float(other / (sum(seconds for seconds, _ in accuracy["own"].values()) / accuracy["workers"]))


def never_reached(accuracy: Mapping[str, Any], side: str) -> str:
    """Name the architectures with which a side never reaches the accuracy, with its best one."""
    goals = {name: goal for name, (_, goal) in accuracy["own"].items()}
    best = {name: max(reached for _, reached in epochs) for name, epochs in accuracy[side].items()}
    missed = [f"{name} {100 * best[name]:.1f} of {100 * goals[name]:.1f}%" for name in best if best[name] < goals[name]]
    return f" (which never reaches: {', '.join(missed)})" if missed else ""


def overhead_rows(lengths: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Return the share of the flow in which a core does not train."""
    shares = [
        100 * (1 - repeat["flow"]["busy_seconds"] / repeat["flow"]["workers"] / repeat["flow"]["seconds"])
        for repeat in lengths["200"]
    ]
    return [row("share of the flow in which a core does not train, 200 tokens", 12, shares, most=True, unit="%")]


def previous_row(seconds: Mapping[str, float]) -> Row:
    """Compare five seeds with the default of another version."""
    name = "five seeds relative to the default of the other version, whole command"
    return row(name, 1.0, [seconds["own"] / seconds["other"]], most=True) if seconds else missing(name, "--before")


def small_rows(commands: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Return wall time and processor time of the commands of `small.py`, relative to an import of TensorFlow, too."""
    rows = []
    for name, goal in SMALL_SECONDS.items():
        label, found = f"small data: {name}", commands[name]
        shown = row(label, goal, [found["wall, s"]], most=True, digits=1, unit=" s")
        ratios = f" ({found['wall, imports']} imports), {found['CPU, s']} CPU s ({found['CPU, imports']} imports)"
        rows.append((*shown[:2], shown[2] + ratios, shown[3]))
    return rows


def memory_rows(lengths: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Return the peak memory of a worker (resident) and of all processes together (proportional)."""
    flows = [repeat["flow"] for repeats in lengths.values() for repeat in repeats]
    whole = [max(stage["all_mb"] for stage in flow["stages"].values()) / 1_000 for flow in flows]
    worker = [flow["worker_peak_mb"] / 1_000 for flow in flows]
    return [
        row("peak memory of a worker", 1.2, worker, most=True, unit=" GB"),
        row("peak memory of the whole run, proportional", 3.5, whole, most=True, unit=" GB"),
    ]
