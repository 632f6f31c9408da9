"""Check the statistics by simulation: `python -m tests.simulations.prove [--short]`.

Simulated models with known true accuracies are compared like real ones, with 5 and with 10 seeds. Three properties are
checked here, and those of `seed_claims`:

- **False positives.** Of five equal architectures, any two are significantly different in at most 5% of comparisons;
  also if the scores are skewed over seeds, and if the architectures are equally accurate but differ in which reviews
  they find difficult.
- **Power.** Two models that differ by one point are significantly different as often as the reported power says, within
  three points; also if the seeds are noisy. The interval of the power contains it.
- **Coverage.** The 95% interval of an accuracy contains the true accuracy in 93 to 97% of cases.
- **Groups.** If the reviews of a group are alike, the interval of accuracy, F1, AUC and log-loss still contains the
  true score in 93 to 97% of cases, and two equal models differ at a level of 5% in at most 5%.
- **Training samples.** See `training_claims`.
- **Nightly runs.** See `nightly_claims`; `--only-nightly` checks nothing else.

The last line of the output is JSON: each number by number of seeds with its 95% interval (Wilson for a rate, normal for
a mean), and the checks that failed. The exit code is 1 if a check failed. The short form uses fewer reviews and fewer
comparisons of five architectures.
"""

import argparse
import functools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import numpy as np

from tasks.evaluation.predictions import metric_contributions
from tasks.statistics.comparison import compare_splits
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.summary import summarize
from tests.helpers.simulated_predictions import simulate_predictions
from tests.simulations import groups, nightly_claims
from tests.simulations.seed_claims import failed_seed_claims, run_seed_claims
from tests.simulations.training_claims import failed_training_claims, run_training_claims

SIGNIFICANT = ("first better", "second better")
METRIC = "accuracy"  # other metrics can be significant only if this one is
ACCURACY, ONE_POINT = 0.87, 0.01
# Options of the simulation of equal architectures, by the name of the case.
EQUAL_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "": {}, ", skewed": {"seed_distribution": "skewed"}, ", other errors": {"architecture_std": 0.5},
}  # fmt: skip
# Standard deviation of the seeds in the simulation of power, by the name of the case.
SEED_STDS = {"": 0.005, ", noisy seeds": 0.009}
MAX_FALSE_POSITIVES, MIN_COVERAGE, MAX_COVERAGE, MAX_POWER_ERROR = 0.05, 0.93, 0.97, 0.03
# Numbers of simulations of equal architectures (of each kind), of power and of coverage; number of test reviews.
FULL = {"equal": 500, "powers": 2_000, "coverages": 1_000, "reviews": 25_000, "grouped": 2_000}
SHORT = {"equal": 100, "powers": 600, "coverages": 1_000, "reviews": 2_000, "grouped": 400}
OPTIONS = ComparisonOptions(metric=METRIC, metrics=[METRIC], draws=2)  # the bootstrap is not checked

Map = Callable[[Callable[[int], Any], range], Iterable[Any]]
Estimate = dict[str, float]
Result = dict[str, dict[str, Estimate]]


def estimate_rate(outcomes: Iterable[bool]) -> Estimate:
    """Compute the share of true outcomes with its 95% Wilson interval."""
    from statsmodels.stats.proportion import proportion_confint

    values = list(outcomes)
    low, high = proportion_confint(sum(values), len(values), method="wilson")
    return {"rate": sum(values) / len(values), "low": float(low), "high": float(high), "simulations": len(values)}


def estimate_mean(values: Iterable[float]) -> Estimate:
    """Compute the mean of numbers with its 95% normal interval."""
    array = np.array(list(values))
    half = 1.96 * float(array.std(ddof=1)) / len(array) ** 0.5
    mean = float(array.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "simulations": len(array)}


def has_false_positive(number: int, *, seeds: int, reviews: int, case: str) -> bool:
    """Compare five equal architectures, and return whether any two of them are significantly different."""
    seed = [0, list(EQUAL_ARCHITECTURES).index(case), seeds, number]  # different for each case
    options = EQUAL_ARCHITECTURES[case]
    splits = simulate_predictions([ACCURACY] * 5, seeds=seeds, reviews=reviews, seed=seed, **options)
    return bool(compare_splits(splits, options=OPTIONS)["pairs"]["verdict"].isin(SIGNIFICANT).any())


def detects_one_point(number: int, *, seeds: int, reviews: int, case: str = "") -> tuple[tuple[float, ...], bool]:
    """Compare two models that differ by one point.

    Returns:
        The reported power with its lower and upper bound, and whether the better model is found.
    """
    accuracies, seed = [ACCURACY, ACCURACY + ONE_POINT], [1, list(SEED_STDS).index(case), seeds, number]
    splits = simulate_predictions(accuracies, seeds=seeds, reviews=reviews, seed=seed, seed_std=SEED_STDS[case])
    frames = compare_splits(splits, options=OPTIONS)
    powers = frames["power"].iloc[0][["power_one_point", "power_low", "power_high"]]
    return tuple(float(power) for power in powers), frames["pairs"]["verdict"].iloc[0] == "second better"


def covers_true_accuracy(number: int, *, seeds: int, reviews: int) -> bool:
    """Summarize one model, and return whether the interval contains its true accuracy."""
    test = simulate_predictions([ACCURACY], seeds=seeds, reviews=reviews, seed=[2, seeds, number])["test"]
    contributions = metric_contributions(test, [METRIC])
    resampled = {METRIC: contributions[METRIC][..., :2]}  # placeholder: the bootstrap is not checked
    row = summarize(test, contributions, resampled, "test", None, OPTIONS).iloc[0]
    return bool(row["low"] <= ACCURACY <= row["high"])


def run_simulations(
    map_range: Map = map,
    *,
    equal: int,
    powers: int,
    coverages: int,
    reviews: int,
    grouped: int,
    seeds: Iterable[int] = (5, 10),
) -> Result:
    """Run all simulations and print each result on stderr.

    Args:
        map_range: Applies a function to all numbers of a range: `map`, or that of a process pool.
        equal: Number of comparisons of five equal architectures, for each case and number of seeds.
        powers: Number of comparisons of two models that differ by one point, for each number of seeds.
        coverages: Number of intervals, for each number of seeds.
        reviews: Number of test reviews.
        grouped: Number of simulations with each size of groups.
        seeds: Numbers of seeds.

    Returns:
        coverage, reported_power, detection_rate, power_interval, family_wise_rate and the claims of `seed_claims`, each
        by case ("5 seeds, skewed"), group_coverage ("f1, groups of 30") and group_differences ("groups of 30").
    """
    result: Result = {}

    def add(name: str, case: str, estimate: Estimate) -> None:
        result.setdefault(name, {})[case] = estimate
        line = f"{time.strftime('%H:%M:%S')} {name}, {case}: {json.dumps(estimate)}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    for count in seeds:
        options, case = {"seeds": count, "reviews": reviews}, f"{count} seeds"
        covered = map_range(functools.partial(covers_true_accuracy, **options), range(coverages))
        add("coverage", case, estimate_rate(covered))
        for name in SEED_STDS:
            found = list(map_range(functools.partial(detects_one_point, case=name, **options), range(powers)))
            rate = estimate_rate(detected for _, detected in found)
            add("reported_power", case + name, estimate_mean(power for (power, _, _), _ in found))
            add("detection_rate", case + name, rate)
            add(
                "power_interval", case + name, estimate_rate(low <= rate["rate"] <= high for (_, low, high), _ in found)
            )
        for name in EQUAL_ARCHITECTURES:
            false_positives = map_range(functools.partial(has_false_positive, case=name, **options), range(equal))
            add("family_wise_rate", case + name, estimate_rate(false_positives))
        run_seed_claims(map_range, add, estimate_rate, estimate_mean, simulations=coverages, **options)
    for size in groups.GROUP_SIZES:
        case = f"groups of {size}"
        covers = functools.partial(groups.covers_true_scores, group_size=size)
        covered_scores = list(map_range(covers, range(grouped)))
        for metric in covered_scores[0]:
            add("group_coverage", f"{metric}, {case}", estimate_rate(found[metric] for found in covered_scores))
        differences = map_range(functools.partial(groups.equal_models_differ, group_size=size), range(grouped))
        add("group_differences", case, estimate_rate(differences))
    run_training_claims(map_range, add, estimate_rate, simulations=coverages)
    return result


def failed_checks(result: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Return one sentence for each check that failed."""
    sentences = [
        f"False positives, {case}: a significant difference in {found['rate']:.1%} of comparisons of equal "
        f"architectures (95% interval {found['low']:.1%} to {found['high']:.1%}); at most {MAX_FALSE_POSITIVES:.0%} "
        "are allowed."
        for case, found in result["family_wise_rate"].items()
        if found["low"] > MAX_FALSE_POSITIVES
    ]
    for case, found in result["detection_rate"].items():
        reported = result["reported_power"][case]
        # Both have an error from the number of simulations.
        error = math.hypot(*(each["high"] - each["low"] for each in (reported, found))) / 2
        if abs(reported["mean"] - found["rate"]) > MAX_POWER_ERROR + error:
            sentences.append(
                f"Power, {case}: the reported power is {reported['mean']:.1%}, but {found['rate']:.1%} of the "
                "differences were detected."
            )
    sentences += [
        f"Power, {case}: {found['rate']:.1%} of the intervals contain the share of detected differences."
        for case, found in result["power_interval"].items()
        if found["high"] < MIN_COVERAGE
    ]
    sentences += [
        f"Coverage, {case}: {found['rate']:.1%}; allowed are {MIN_COVERAGE:.0%} to {MAX_COVERAGE:.0%}."
        for case, found in result["coverage"].items()
        if not MIN_COVERAGE <= found["rate"] <= MAX_COVERAGE
    ]
    sentences += [
        f"Groups, {case}: the interval contains the true score in {found['rate']:.1%}; allowed are {MIN_COVERAGE:.0%} "
        f"to {MAX_COVERAGE:.0%}."
        for case, found in result["group_coverage"].items()
        if found["high"] < MIN_COVERAGE or found["low"] > MAX_COVERAGE
    ]
    sentences += [
        f"Groups, {case}: equal models differ in {found['rate']:.1%}; at most {MAX_FALSE_POSITIVES:.0%} are allowed."
        for case, found in result["group_differences"].items()
        if found["low"] > MAX_FALSE_POSITIVES
    ]
    return sentences + failed_seed_claims(result) + failed_training_claims(result)


def check_nightly_claims(map_range: Map, *, short: bool) -> tuple[Result, list[str]]:
    """Simulate the claims about nightly runs; return their rates and one sentence for each that failed."""
    options = nightly_claims.SHORT if short else nightly_claims.FULL
    outcomes = nightly_claims.run_claims(map_range, **options)
    result = {name: {case: estimate_rate(each) for case, each in cases.items()} for name, cases in outcomes.items()}
    for name, cases in result.items():
        for case, estimate in cases.items():
            print(f"{time.strftime('%H:%M:%S')} {name}, {case}: {json.dumps(estimate)}", file=sys.stderr)  # noqa: T201
    return result, nightly_claims.failed_claims(result)


@contextmanager
def process_pool(processes: int) -> Iterator[Map]:
    """Yield a `map` over several processes, each of which computes with one thread."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        yield functools.partial(executor.map, chunksize=5)


def main(arguments: list[str] | None = None) -> int:
    """Run the simulations, print the JSON line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulations.prove", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="use fewer reviews and fewer comparisons")
    parser.add_argument("--only-nightly", action="store_true", help="check the claims about nightly runs only")
    parsed, start = parser.parse_args(arguments), time.monotonic()
    short: bool = parsed.short
    options = SHORT if short else FULL
    with process_pool(2) as map_range:
        result = {} if parsed.only_nightly else run_simulations(map_range, **options)
        failed = [] if parsed.only_nightly else failed_checks(result)
        nightly, failed_nightly = check_nightly_claims(map_range, short=short)
    result, failed = {**result, **nightly}, [*failed, *failed_nightly]
    run = {"short": short, "reviews": options["reviews"], "seconds": round(time.monotonic() - start, 1)}
    for sentence in failed:
        print(sentence, file=sys.stderr)  # noqa: T201
    print(json.dumps({**run, **result, "failures": failed}))  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
