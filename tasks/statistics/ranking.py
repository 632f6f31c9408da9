"""Omnibus tests, rank groups, and the expected best validation score of a search over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.evaluation.metrics import LOWER_IS_BETTER, Floats
from tasks.evaluation.predictions import Predictions, correct_mean_predictions
from tasks.statistics.grouped_tests import grouped_cochran
from tasks.statistics.significance import FIRST_BETTER, INCONCLUSIVE, SECOND_BETTER

COST_COLUMNS = ("parameters", "latency_ms", "train_seconds")  # in the order in which they break ties
TIME_COLUMNS = ("train_seconds", "cpu_seconds")
# The majority class is the cheapest of all, but no candidate for the cheapest architecture of the best group, even if
# there are too few seeds for a significant difference.
MAJORITY_BASELINE = "majority"


@dataclass(frozen=True)
class PairDifference:
    """Difference of one architecture to another one, on the test split.

    Attributes:
        difference: Difference of the scores, in units of the metric.
        low: Lower limit of its 95% interval.
        high: Upper limit of its 95% interval.
        verdict: "better", "worse", `EQUIVALENT`, `INCONCLUSIVE` or `NOT_SIGNIFICANT`; "best" for the difference of an
            architecture to itself.
    """

    difference: float
    low: float
    high: float
    verdict: str


def omnibus_tests(predictions: Predictions, contributions: Floats, metric: str) -> pd.DataFrame:
    """Test whether any architecture differs from the others.

    Cochran's Q compares the predictions on the reviews. Each architecture predicts with its mean probability over the
    seeds, so the test contains no seed variance. The majority class is left out: nearly any model differs from it, so
    the test would only find that. Friedman's test compares the scores of the seeds that all
    architectures share (Demsar 2006). Deterministic architectures are left out of it.

    Args:
        predictions: Predictions of the test split.
        contributions: (architectures, seeds, reviews) contributions to the main metric.
        metric: Name of the main metric.

    Returns:
        Columns test, statistic, p, observations (number of reviews or shared seeds), note. If there is nothing to test,
        statistic is 0, p is 1 and the note contains the reason.
    """
    return pd.DataFrame([_cochran(predictions), _friedman(predictions, contributions, metric)])


def _omnibus_row(
    test: str, observations: int, statistic: float = 0.0, p: float = 1.0, note: str = ""
) -> dict[str, object]:
    return {"test": test, "statistic": statistic, "p": p, "observations": observations, "note": note}


def _cochran(predictions: Predictions) -> dict[str, object]:
    from statsmodels.stats.contingency_tables import cochrans_q

    compared = [architecture != MAJORITY_BASELINE for architecture in predictions.architectures]
    correct, name = correct_mean_predictions(predictions)[compared].T.astype(int), "Cochran's Q"
    if correct.shape[1] < 2:
        return _omnibus_row(name, len(correct), note="nothing to test: fewer than two architectures")
    if (correct == correct[:, :1]).all():
        note = "nothing to test: all architectures are correct on the same reviews"
        return _omnibus_row(name, len(correct), note=note)
    if predictions.groups is not None:
        grouped = grouped_cochran(correct.T.astype(bool), predictions.groups)
        if grouped is None:
            return _omnibus_row(name, len(correct), note="nothing to test: too few groups of reviews")
        return _omnibus_row(name, len(correct), *grouped, note="by group: Hotelling's test, an F statistic")
    result = cochrans_q(correct)
    return _omnibus_row(name, len(correct), float(result.statistic), float(result.pvalue))


def _friedman(predictions: Predictions, contributions: Floats, metric: str) -> dict[str, object]:
    from scipy.stats import friedmanchisquare

    present, name = predictions.present, "Friedman"
    several = present.sum(axis=1) > 1
    shared = present[several].all(axis=0) if several.any() else np.zeros(present.shape[1], dtype=bool)
    seeds = int(shared.sum())
    # Rounded, because equal scores can differ in the last bits by the order of summation and would not be tied.
    scores = contributions[several][:, shared].mean(axis=2).round(12) if seeds else np.zeros((0, 0))
    if scores.shape[0] < 3 or scores.shape[1] < 2:
        note = "nothing to test: fewer than three architectures share two seeds"
        return _omnibus_row(name, seeds, note=note)
    if (scores == scores[:1]).all():
        return _omnibus_row(name, seeds, note=f"nothing to test: every seed has the same {metric}")
    result = friedmanchisquare(*scores)
    return _omnibus_row(name, seeds, float(result.statistic), float(result.pvalue))


def rank_groups(
    summary: pd.DataFrame, pairs: pd.DataFrame, trials: pd.DataFrame | None, *, metric: str
) -> pd.DataFrame:
    """Group architectures that are not significantly worse than the best one of their group.

    "Not significantly different" is not transitive. Each group therefore starts with the best remaining architecture by
    validation mean, and contains all remaining ones that are not significantly worse than it on the test split.

    Args:
        summary: Table summary of a comparison.
        pairs: Table pairs of a comparison.
        trials: Columns architecture, `COST_COLUMNS` and cpu_seconds where known; None if unknown. Costs break ties.
        metric: Main metric.

    Returns:
        Columns architecture, group (from 1), best, cheapest (bool, in the first group), validation_mean, test_mean,
        difference, low, high (test, minus the best architecture; 0 for the best itself), verdict (compared with the
        best, see `PairDifference`), then the known costs.
    """
    scores = summary[summary["metric"] == metric].pivot_table(index="architecture", columns="split", values="mean")
    costs, cpu_seconds = (
        mean_costs(trials, columns).reindex(scores.index) for columns in (COST_COLUMNS, ("cpu_seconds",))
    )
    order = rank_architectures(scores["validation"], costs, metric)
    differences = {name: differences_to(pairs, name, metric) for name in order}
    groups, best = _group_numbers(order, differences), order[0]
    to_best = {best: PairDifference(0.0, 0.0, 0.0, "best"), **differences[best]}
    rows = [
        {
            "architecture": name, "group": groups[name], "best": name == best, "cheapest": False,
            "validation_mean": scores.loc[name, "validation"], "test_mean": scores.loc[name, "test"],
            "difference": to_best[name].difference, "low": to_best[name].low, "high": to_best[name].high,
            "verdict": to_best[name].verdict, **costs.loc[name], **cpu_seconds.loc[name],
        }
        for name in order
    ]  # fmt: skip
    return _mark_cheapest(pd.DataFrame(rows), list(costs.columns))


def rank_architectures(validation_means: "pd.Series[float]", costs: pd.DataFrame, metric: str) -> list[str]:
    """Order architectures by validation mean, best first, then by costs and name.

    Args:
        validation_means: Mean validation score of each architecture, indexed by its name (architecture).
        costs: Table of `mean_costs` for the same architectures, in the same order.
        metric: Metric of the scores.
    """
    sign = 1 if metric in LOWER_IS_BETTER else -1
    keys = costs.assign(rank=sign * validation_means.round(12)).reset_index()
    return keys.sort_values(["rank", *costs.columns, "architecture"])["architecture"].tolist()


def _group_numbers(order: Sequence[str], differences: Mapping[str, Mapping[str, PairDifference]]) -> dict[str, int]:
    """Return the rank group of each architecture, from 1."""
    groups: dict[str, int] = {}
    while remaining := [name for name in order if name not in groups]:
        first, number = remaining[0], max(groups.values(), default=0) + 1
        groups |= {n: number for n in remaining if n == first or differences[first][n].verdict != "worse"}
    return groups


def _mark_cheapest(groups: pd.DataFrame, costs: list[str]) -> pd.DataFrame:
    """Mark the cheapest architecture of the first group, if its costs are known."""
    comparable = (groups["architecture"] != MAJORITY_BASELINE) & (groups["verdict"] != INCONCLUSIVE)
    candidates = groups[(groups["group"] == 1) & (groups["best"] | comparable)]
    candidates = candidates.dropna(subset=costs[:1])
    if costs and len(candidates):
        groups.loc[candidates.sort_values(costs, kind="stable").index[0], "cheapest"] = True
    return groups


def differences_to(pairs: pd.DataFrame, reference: str, metric: str) -> dict[str, PairDifference]:
    """Return the difference of every other architecture to a reference architecture.

    Args:
        pairs: Table pairs of a comparison.
        reference: Architecture that the others are compared with.
        metric: Metric of the differences.

    Returns:
        Architecture to its difference, the other one minus the reference; "better" and "worse" are about the other one.
    """
    rows = pairs[pairs["metric"] == metric]
    differences: dict[str, PairDifference] = {}
    for row in rows[(rows["first"] == reference) | (rows["second"] == reference)].to_dict("records"):
        is_first = row["first"] == reference
        sign, other = (-1, "second") if is_first else (1, "first")
        low, high = sorted((sign * row["low"], sign * row["high"]))
        verdicts = {
            FIRST_BETTER: "worse" if is_first else "better",
            SECOND_BETTER: "better" if is_first else "worse",
        }
        verdict = verdicts.get(row["verdict"], row["verdict"])
        differences[row[other]] = PairDifference(sign * row["difference"], low, high, verdict)
    return differences


def mean_costs(trials: pd.DataFrame | None, columns: Sequence[str] = COST_COLUMNS) -> pd.DataFrame:
    """Return the mean of each of some costs over the trials of each architecture, if it is known."""
    if trials is None:
        return pd.DataFrame()
    return trials.groupby("architecture", observed=True)[[cost for cost in columns if cost in trials]].mean()


def expected_best_validation(
    predictions: Predictions, contributions: Floats, trials: pd.DataFrame | None, *, metric: str
) -> pd.DataFrame:
    """Compute the expected best validation score of n runs, for n = 1 to the number of seeds.

    This is E[max of n], see `expected_maximum`. Source: Dodge et al. 2019, "Show Your Work: Improved Reporting of
    Experimental Results". For a metric where lower is better it is the expected minimum.

    Args:
        predictions: Predictions of the validation split.
        contributions: (architectures, seeds, reviews) contributions to the metric.
        trials: Columns architecture and `TIME_COLUMNS` where known; None if unknown.
        metric: Name of the metric.

    Returns:
        Columns architecture, runs, expected, train_seconds and cpu_seconds (of so many runs; NaN if unknown).
    """
    costs = mean_costs(trials, TIME_COLUMNS)
    rows = []
    for name, table, present in zip(predictions.architectures, contributions, predictions.present, strict=True):
        scores = table[present].mean(axis=1)
        for runs in range(1, len(scores) + 1):
            best = expected_maximum(scores, runs, lower_is_better=metric in LOWER_IS_BETTER)
            seconds = {time: runs * costs[time].get(name, np.nan) if time in costs else np.nan for time in TIME_COLUMNS}
            rows.append({"architecture": name, "runs": runs, "expected": best, **seconds})
    return pd.DataFrame(rows)


def expected_maximum(scores: Floats, runs: int, *, lower_is_better: bool = False) -> float:
    """Compute the expected maximum (or minimum) of draws from scores, without replacement.

    This is the mean of the maximum over all subsets of the scores, which is an unbiased estimate of the expected best
    of so many new runs. Drawing with replacement underestimates it: for three normal scores, 0.56 instead of 0.85
    standard deviations above the mean. Source: Tang et al. 2020, "Showing Your Work Doesn't Always Work".

    Args:
        scores: (seeds,) float.
        runs: Number of draws, from 1 to the number of seeds.
        lower_is_better: Whether to compute the minimum.
    """
    ordered = np.sort(-scores if lower_is_better else scores)
    # The i-th smallest score is the maximum of each subset whose other members are among the i - 1 smaller ones.
    subsets = np.array([math.comb(smaller, runs - 1) for smaller in range(len(ordered))], dtype=np.float64)
    best = float(ordered @ (subsets / subsets.sum()))
    return -best if lower_is_better else best
