"""Prove the claims of the comparison by simulation: `python -m tests.prove`, or `python -m tests.prove --short`.

Made-up models with known true accuracies are compared as real ones are. The last line is JSON: the rate at which
copies of one architecture are told apart, the power as printed and as found, and the coverage of the 95% interval, each
with the 95% Wilson interval of its count.
"""

import json
import sys
from collections.abc import Iterable

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from tasks.comparison import compare_panels, summarise_panel
from tasks.panel import contributions
from tests.simulated_predictions import simulated_panels

BETTER = ("first better", "second better")


def rate(found: Iterable[bool]) -> dict[str, float | int]:
    """Count how often something happened, with the Wilson interval of its rate."""
    times = list(found)
    low, high = proportion_confint(sum(times), len(times), method="wilson")
    return {"rate": sum(times) / len(times), "low": float(low), "high": float(high), "simulations": len(times)}


def family_wise_rate(seeds: int, *, simulations: int, reviews: int, noise: str = "normal") -> dict[str, float | int]:
    """Compare five copies of one architecture, and count the comparisons with any claim of a difference."""

    def claims(seed: int) -> bool:
        panels = simulated_panels([0.87] * 5, seeds=seeds, reviews=reviews, seed=seed, noise=noise)
        return bool(compare_panels(panels, draws=50)["pairs"]["verdict"].isin(BETTER).any())

    return rate(claims(seed) for seed in range(simulations))


def power_of_one_point(seeds: int, *, simulations: int, reviews: int) -> tuple[float, dict[str, float | int]]:
    """Compare two models that differ by one point: the mean of the printed power, and how often it is found."""
    printed, found = [], []
    for seed in range(simulations):
        panels = simulated_panels([0.87, 0.88], seeds=seeds, reviews=reviews, seed=10_000 + seed)
        frames = compare_panels(panels, draws=50)
        printed.append(float(frames["power"]["power_one_point"].iloc[0]))
        found.append(frames["pairs"]["verdict"].iloc[0] == "second better")
    return float(np.mean(printed)), rate(found)


def coverage(seeds: int, *, simulations: int, reviews: int) -> dict[str, float | int]:
    """Count how often the 95% interval of the accuracy holds the true one."""

    def covers(seed: int) -> bool:
        data = simulated_panels([0.87], seeds=seeds, reviews=reviews, seed=20_000 + seed)["test"]
        given = {"accuracy": contributions(data)["accuracy"]}
        row = summarise_panel(data, given, {"accuracy": given["accuracy"][..., :1]}, "test", None, ()).iloc[0]
        return bool(row["low"] <= 0.87 <= row["high"])

    return rate(covers(seed) for seed in range(simulations))


def prove(*, short: bool) -> dict[str, object]:
    """Run all simulations and print what each found as it ends."""
    times, reviews = (20, 2_000) if short else (200, 25_000)
    result: dict[str, object] = {}

    def say(name: str, value: object) -> None:
        print(f"{name}: {json.dumps(value)}", file=sys.stderr, flush=True)  # noqa: T201

    def each_seeds(name: str, values: dict[str, object]) -> None:
        result[name] = values
        say(name, values)

    each_seeds("coverage", {
        f"{k} seeds": coverage(k, simulations=times * 5, reviews=reviews) for k in (5, 10)
    })  # fmt: skip
    powers = {f"{k} seeds": power_of_one_point(k, simulations=times, reviews=reviews) for k in (5, 10)}
    each_seeds("power_printed", {name: printed for name, (printed, _) in powers.items()})
    each_seeds("power_found", {name: found for name, (_, found) in powers.items()})
    each_seeds("family_wise_rate", {
        f"{k} seeds{', skewed' if noise == 'skewed' else ''}": family_wise_rate(
            k, simulations=times, reviews=reviews, noise=noise
        )
        for noise in ("normal", "skewed")
        for k in (5, 10)
    })  # fmt: skip
    return {"short": short, "reviews": reviews, **result}


if __name__ == "__main__":
    print(json.dumps(prove(short="--short" in sys.argv)))  # noqa: T201
