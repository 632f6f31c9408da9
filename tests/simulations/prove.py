"""Check the statistics by simulation: `python -m tests.simulations.prove [--short]`.

Simulated models with known true accuracies are compared like real ones, with 5 and with 10 seeds. The claims:

- **False positives.** Of five equal architectures, any two are significantly different in at most 5% of comparisons;
  also if the scores are skewed over seeds, if the architectures are equally accurate but differ in which reviews they
  find difficult, if reviews belong to groups of 30, if two of the five are baselines, and if the seeds of one spread
  four times as much.
- **Power.** Two models that differ by one point are significantly different as often as the reported power says, within
  three points; also if the seeds are noisy. The interval of the power contains it.
- **Coverage.** The 95% interval of an accuracy contains the true accuracy in 93 to 97% of cases. There are so many
  simulations that the share that was found must be in these limits, not only its interval.
- **Groups, rare classes and more classes.** If the reviews of a group are alike, if 5% of the reviews are positive, or
  with 3 or 10 classes, the interval of a score contains the true score in 93 to 97%, in every metric, and two equal
  models differ at a level of 5% in at most 5%.
- **Seeds**, **training samples**, **tuning** and **nightly runs.** See `seed_claims`, `training_claims`,
  `tuning_claims` and `nightly_claims`; `--only-nightly` checks the last only.

Each number is printed on stderr as soon as it is known, and in the end a table with one line per claim: what was found
with its 95% interval (Wilson for a rate, normal for a mean), what is allowed, and `ok` or `FAILED`. A claim fails if
its interval contains no allowed value; that of coverage, if what was found is not allowed. The last line of the output
is JSON: each number by claim and case, and the lines that failed. The exit code is 1 if a claim failed. The short form
uses fewer reviews and fewer simulations; `--scale` multiplies the numbers of simulations of either form.
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

from tasks.evaluation.predictions import metric_contributions
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.power import power_table
from tasks.statistics.summary import summarize
from tests.helpers.simulated_predictions import simulate_predictions
from tests.simulations import classes, groups, nightly_claims, seed_claims, training_claims, tuning_claims
from tests.simulations.claims import (
    Allowed,
    Claim,
    Estimate,
    Result,
    estimate_mean,
    estimate_rate,
    format_claims,
    make_claims,
    print_estimate,
)
from tests.simulations.simulated_pairs import compare_test_pairs

SIGNIFICANT = ("first better", "second better")
METRIC = "accuracy"  # other metrics can be significant only if this one is
ACCURACY, ONE_POINT = 0.87, 0.01
# Options of the simulation of equal architectures, by the name of the case.
EQUAL_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "": {}, ", skewed": {"seed_distribution": "skewed"}, ", other errors": {"architecture_std": 0.5},
    ", groups of 30": {"group_size": 30, "architecture_std": groups.ARCHITECTURE_STD},
    ", two baselines": {"baselines": 2}, ", one noisy architecture": {"seed_std": [*[0.005] * 4, 0.02]},
}  # fmt: skip
# Standard deviation of the seeds in the simulation of power, by the name of the case.
SEED_STDS = {"": 0.005, ", noisy seeds": 0.009}
# Options of the simulation of groups and rare classes, by the name of the case.
GROUPED: dict[str, dict[str, Any]] = {
    **{f"groups of {size}": {"group_size": size} for size in groups.GROUP_SIZES},
    "5% positive": {"positive_share": groups.RARE_SHARE},
    "5% positive, groups of 30": {"positive_share": groups.RARE_SHARE, "group_size": 30},
}
# The same for more than two classes.
CLASSES: dict[str, dict[str, Any]] = {
    f"{count} classes{name}": {"classes": count, **options}
    for count in (3, 10)
    for name, options in {"": {}, ", groups of 30": {"group_size": 30}}.items()
}
ALLOWED: Allowed = {
    "family_wise_rate": (0, 0.05), "coverage": (0.93, 0.97), "group_coverage": (0.93, 0.97),
    "group_differences": (0, 0.05), "power_error": (-0.03, 0.03), "power_interval": (0.93, 1), **seed_claims.ALLOWED,
    **training_claims.ALLOWED, **tuning_claims.ALLOWED, **nightly_claims.ALLOWED,
}  # fmt: skip
# Numbers of simulations: equal architectures (of each kind), power, coverage of an accuracy, claims about seeds and
# training samples (each), groups; number of test reviews.
FULL = {"equal": 500, "powers": 1_000, "accuracies": 10_000, "coverages": 1_000, "reviews": 10_000, "grouped": 1_000}
SHORT = {"equal": 100, "powers": 600, "accuracies": 2_000, "coverages": 1_000, "reviews": 2_000, "grouped": 400}
MAX_REVIEWS = 2_000  # for coverage; more reviews only take more time
OPTIONS = ComparisonOptions(metric=METRIC, metrics=[METRIC], draws=2)  # the bootstrap is not checked

Map = Callable[[Callable[[int], Any], range], Iterable[Any]]


def has_false_positive(number: int, *, seeds: int, reviews: int, case: str) -> bool:
    """Compare five equal architectures, and return whether any two of them are significantly different."""
    seed = [0, list(EQUAL_ARCHITECTURES).index(case), seeds, number]  # different for each case
    options = EQUAL_ARCHITECTURES[case]
    splits = simulate_predictions([ACCURACY] * 5, seeds=seeds, reviews=reviews, seed=seed, **options)
    pairs, _ = compare_test_pairs(splits["test"], OPTIONS)
    return bool(pairs["verdict"].isin(SIGNIFICANT).any())


def detects_one_point(number: int, *, seeds: int, reviews: int, case: str = "") -> tuple[tuple[float, ...], bool]:
    """Compare two models that differ by one point.

    Returns:
        The reported power with its lower and upper bound, and whether the better model is found.
    """
    accuracies, seed = [ACCURACY, ACCURACY + ONE_POINT], [1, list(SEED_STDS).index(case), seeds, number]
    splits = simulate_predictions(accuracies, seeds=seeds, reviews=reviews, seed=seed, seed_std=SEED_STDS[case])
    pairs, variances = compare_test_pairs(splits["test"], OPTIONS)
    powers = power_table(pairs, variances, OPTIONS).iloc[0][["power_one_point", "power_low", "power_high"]]
    return tuple(float(power) for power in powers), pairs["verdict"].iloc[0] == "second better"


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
    accuracies: int,
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
        accuracies: Number of intervals of an accuracy, for each number of seeds.
        coverages: Number of simulations of each claim about seeds or training samples.
        reviews: Number of test reviews.
        grouped: Number of simulations with each size of groups, and with each number of classes.
        seeds: Numbers of seeds.

    Returns:
        coverage, reported_power, detection_rate, power_error (reported minus actual), power_interval, family_wise_rate
        and the claims of `seed_claims` and `tuning_claims`, each by case ("5 seeds, skewed"); group_coverage and
        group_differences ("f1, groups of 30").
    """
    result: Result = {}

    def add(name: str, case: str, estimate: Estimate) -> None:
        result.setdefault(name, {})[case] = estimate
        print_estimate(name, case, estimate)

    for count in seeds:
        options, case = {"seeds": count, "reviews": reviews}, f"{count} seeds"
        covers = functools.partial(covers_true_accuracy, seeds=count, reviews=min(reviews, MAX_REVIEWS))
        add("coverage", case, estimate_rate(map_range(covers, range(accuracies))))
        for name in SEED_STDS:
            found = list(map_range(functools.partial(detects_one_point, case=name, **options), range(powers)))
            rate = estimate_rate(detected for _, detected in found)
            add("reported_power", case + name, estimate_mean(power for (power, _, _), _ in found))
            add("detection_rate", case + name, rate)
            add("power_error", case + name, estimate_mean(power - float(hit) for (power, _, _), hit in found))
            add(
                "power_interval", case + name, estimate_rate(low <= rate["rate"] <= high for (_, low, high), _ in found)
            )
        for name in EQUAL_ARCHITECTURES:
            false_positives = map_range(functools.partial(has_false_positive, case=name, **options), range(equal))
            add("family_wise_rate", case + name, estimate_rate(false_positives))
        seed_claims.run_seed_claims(map_range, add, estimate_rate, estimate_mean, simulations=coverages, **options)
    simulated = [(case, groups, options) for case, options in GROUPED.items()]
    for case, module, options in [*simulated, *((case, classes, options) for case, options in CLASSES.items())]:
        for name, simulate in (
            ("group_coverage", module.covers_true_scores), ("group_differences", module.equal_models_differ),
        ):  # fmt: skip
            outcomes = list(map_range(functools.partial(simulate, **options), range(grouped)))
            for metric in outcomes[0]:
                add(name, f"{metric}, {case}", estimate_rate(each[metric] for each in outcomes))
    training_claims.run_training_claims(map_range, add, estimate_rate, simulations=coverages)
    tuning_claims.run_tuning_claims(
        map_range, add, estimate_rate, estimate_mean, comparisons=equal, powers=powers, reviews=reviews
    )
    return result


def run_nightly_claims(map_range: Map, *, short: bool, scale: float = 1) -> Result:
    """Simulate the claims about nightly runs; `scale` multiplies the numbers of simulations."""
    numbers = scale_numbers(nightly_claims.SHORT if short else nightly_claims.FULL, scale)
    outcomes = nightly_claims.run_claims(map_range, **numbers)
    result: Result = {}
    for name, cases in outcomes.items():
        for case, values in cases.items():
            estimate = estimate_mean(values) if name in nightly_claims.MEANS else estimate_rate(values)
            result.setdefault(name, {})[case] = estimate
            print_estimate(name, case, estimate)
    return result


def scale_numbers(numbers: Mapping[str, int], scale: float) -> dict[str, int]:
    """Multiply numbers of simulations, each at least 1; the number of reviews stays."""
    return {name: n if name == "reviews" else max(round(scale * n), 1) for name, n in numbers.items()}


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
    parser.add_argument("--scale", type=float, default=1, help="factor of all numbers of simulations (default: 1)")
    parser.add_argument("--only-nightly", action="store_true", help="check the claims about nightly runs only")
    parsed, start = parser.parse_args(arguments), time.monotonic()
    short: bool = parsed.short
    options = scale_numbers(SHORT if short else FULL, parsed.scale)
    with process_pool(2) as map_range:
        result = {} if parsed.only_nightly else run_simulations(map_range, **options)
        result |= run_nightly_claims(map_range, short=short, scale=parsed.scale)
    claims: list[Claim] = make_claims(result, ALLOWED)
    failed = ["; ".join(claim.cells) for claim in claims if not claim.holds]
    run = {"short": short, "reviews": options["reviews"], "seconds": round(time.monotonic() - start, 1)}
    print(format_claims(claims), file=sys.stderr)  # noqa: T201
    print(json.dumps({**run, **result, "failures": failed}))  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
