"""Check the claims of the statistics by simulation: `python -m tests.simulations.prove [--short]`.

Made-up models with known true accuracies are compared as real ones are, at 5 and at 10 seeds. Three claims are tried:

- Copies of one architecture under five names are told apart, any two of them, in at most 5% of comparisons; also where
  seed noise is skewed, and where the five are as good as each other but find other reviews easy.
- Two models that truly differ by one point are told apart about as often as the printed power says.
- The 95% interval of an accuracy holds the true one in 93 to 97% of cases.

The last line is JSON: each number by number of seeds, with the 95% Wilson interval of its count (the printed power,
a mean, with that of the mean), and what failed. The exit code is 1 where a claim failed. The short form makes do with
fewer reviews and fewer comparisons of five.
"""

import argparse
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import numpy as np

from tasks.evaluation.predictions import contributions
from tasks.statistics.comparison import compare_panels
from tasks.statistics.summary import summarise_panel
from tests.helpers.simulated_predictions import simulated_panels

BETTER = ("first better", "second better")
METRIC = "accuracy"  # the others claim a difference only where it does
ACCURACY, POINT = 0.87, 0.01
# What copies are compared on, by what the case is called.
KINDS: dict[str, dict[str, Any]] = {"": {}, ", skewed": {"noise": "skewed"}, ", other errors": {"own": 0.5}}
MOST_FALSE_CLAIMS, LEAST_COVERAGE, MOST_COVERAGE, MOST_POWER_OFF = 0.05, 0.93, 0.97, 0.10
# Simulations of copies (of each kind), of power and of coverage; test reviews.
FULL = {"copies": 500, "powers": 200, "coverages": 1_000, "reviews": 25_000}
SHORT = {"copies": 100, "powers": 200, "coverages": 1_000, "reviews": 2_000}

Each = Callable[[Callable[[int], Any], range], Iterable[Any]]


def rate(found: Iterable[bool]) -> dict[str, float]:
    """Count how often something happened, with the 95% Wilson interval of its rate."""
    from statsmodels.stats.proportion import proportion_confint

    times = list(found)
    low, high = proportion_confint(sum(times), len(times), method="wilson")
    return {"rate": sum(times) / len(times), "low": float(low), "high": float(high), "simulations": len(times)}


def average(values: Iterable[float]) -> dict[str, float]:
    """Average numbers, with the 95% normal interval of their mean."""
    known = np.array(list(values))
    half = 1.96 * float(known.std(ddof=1)) / len(known) ** 0.5
    mean = float(known.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "simulations": len(known)}


def claims_a_difference(number: int, *, seeds: int, reviews: int, kind: str) -> bool:
    """Compare five copies of one architecture, and tell whether any two are said to differ."""
    draws = [0, list(KINDS).index(kind), seeds, number]  # of its own for each case, so that they share no luck
    panels = simulated_panels([ACCURACY] * 5, seeds=seeds, reviews=reviews, seed=draws, **KINDS[kind])
    return bool(compare_panels(panels, metrics=[METRIC], draws=2)["pairs"]["verdict"].isin(BETTER).any())


def finds_a_point(number: int, *, seeds: int, reviews: int) -> tuple[float, bool]:
    """Compare two models that differ by one point: the printed power, and whether the better one is found."""
    both = [ACCURACY, ACCURACY + POINT]
    panels = simulated_panels(both, seeds=seeds, reviews=reviews, seed=[1, seeds, number])
    frames = compare_panels(panels, metrics=[METRIC], draws=2)
    return float(frames["power"]["power_one_point"].iloc[0]), frames["pairs"]["verdict"].iloc[0] == "second better"


def covers_the_truth(number: int, *, seeds: int, reviews: int) -> bool:
    """Summarise one model, and tell whether the interval holds its true accuracy."""
    data = simulated_panels([ACCURACY], seeds=seeds, reviews=reviews, seed=[2, seeds, number])["test"]
    given = contributions(data, [METRIC])
    resampled = {METRIC: given[METRIC][..., :2]}  # not looked at
    row = summarise_panel(data, given, resampled, "test", None, ()).iloc[0]
    return bool(row["low"] <= ACCURACY <= row["high"])


def prove(
    each: Each = map, *, copies: int, powers: int, coverages: int, reviews: int, seeds: Iterable[int] = (5, 10)
) -> dict[str, dict[str, dict[str, float]]]:
    """Run all simulations, and print on stderr what each found as it ends.

    Args:
        each: Applies a function to all of a range: `map`, or that of a pool.
        copies: Comparisons of five copies, of each kind and at each number of seeds.
        powers: Comparisons of two models a point apart, at each number of seeds.
        coverages: Intervals, at each number of seeds.
        reviews: Test reviews.
        seeds: Numbers of seeds.

    Returns:
        family_wise_rate, power_printed, power_found and coverage, each by number of seeds.
    """
    result: dict[str, dict[str, dict[str, float]]] = {
        "family_wise_rate": {}, "power_printed": {}, "power_found": {}, "coverage": {},
    }  # fmt: skip

    def note(name: str, case: str, value: dict[str, float]) -> None:
        result[name][case] = value
        said = f"{time.strftime('%H:%M:%S')} {name}, {case}: {json.dumps(value)}"
        print(said, file=sys.stderr, flush=True)  # noqa: T201

    for count in seeds:
        known, case = {"seeds": count, "reviews": reviews}, f"{count} seeds"
        note("coverage", case, rate(each(functools.partial(covers_the_truth, **known), range(coverages))))
        found = list(each(functools.partial(finds_a_point, **known), range(powers)))
        note("power_printed", case, average(printed for printed, _ in found))
        note("power_found", case, rate(was_found for _, was_found in found))
        for kind in KINDS:
            claims = each(functools.partial(claims_a_difference, kind=kind, **known), range(copies))
            note("family_wise_rate", case + kind, rate(claims))
    return result


def failures(result: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Say which claims the simulations speak against, a sentence each."""
    said = [
        f"Copies of one architecture, {case}: told apart in {found['rate']:.1%} of comparisons "
        f"(95% interval {found['low']:.1%} to {found['high']:.1%}), more than {MOST_FALSE_CLAIMS:.0%}."
        for case, found in result["family_wise_rate"].items()
        if found["low"] > MOST_FALSE_CLAIMS
    ]
    for case, found in result["power_found"].items():
        printed = result["power_printed"][case]["mean"]
        if abs(printed - found["rate"]) > MOST_POWER_OFF:
            said.append(f"Power, {case}: printed {printed:.1%}, found {found['rate']:.1%}.")
    said += [
        f"Coverage, {case}: {found['rate']:.1%}, not within {LEAST_COVERAGE:.0%} to {MOST_COVERAGE:.0%}."
        for case, found in result["coverage"].items()
        if not LEAST_COVERAGE <= found["rate"] <= MOST_COVERAGE
    ]
    return said


@contextmanager
def pool(processes: int) -> Iterator[Each]:
    """Give a `map` over so many processes, each of which computes with one thread."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        yield functools.partial(executor.map, chunksize=5)


def main(arguments: list[str] | None = None) -> int:
    """Run the simulations, print the JSON line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulations.prove", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="fewer reviews and fewer comparisons")
    short, start = parser.parse_args(arguments).short, time.monotonic()
    options = SHORT if short else FULL
    with pool(2) as each:
        result = prove(each, **options)
    failed = failures(result)
    about = {"short": short, "reviews": options["reviews"], "seconds": round(time.monotonic() - start, 1)}
    for sentence in failed:
        print(sentence, file=sys.stderr)  # noqa: T201
    print(json.dumps({**about, **result, "failures": failed}))  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
