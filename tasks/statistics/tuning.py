"""What a search over configurations of the recipe found, by architecture. It reads validation scores only.

All functions read the table `tuning`: one row for each architecture and configuration, with the columns architecture,
configuration (from 1; 1 is the shared recipe), one column for each searched parameter, seed, status, epochs,
validation_loss, validation_ and the name of each metric, cpu_seconds, train_seconds, selected.
"""

import itertools
import math

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order
from tasks.evaluation.metric_record import Metric
from tasks.evaluation.metrics import Floats

RANGE = (0.05, 0.95)  # quantiles of the scores of a search with n configurations
MIN_CONFIGURATIONS = 4  # for a rank correlation; with fewer it is often 1 or -1 by chance


def has_tuning(tuning: pd.DataFrame | None) -> bool:
    """Return whether there was a search."""
    return tuning is not None and len(tuning) > 0


def searched_parameters(tuning: pd.DataFrame) -> list[str]:
    """Return the columns of the searched parameters, between configuration and seed, without `constant_parameters`."""
    constant = constant_parameters(tuning)
    return [name for name in _parameters(tuning) if name not in constant]


def constant_parameters(tuning: pd.DataFrame) -> dict[str, float]:
    """Return parameters with one value in all configurations, such as the embedding size with word vectors.

    A search with a single configuration has none: no parameter tells it from the others.
    """
    values = {name: tuning[name].unique() for name in _parameters(tuning)}
    if all(len(each) < 2 for each in values.values()):
        return {}
    return {name: float(each[0]) for name, each in values.items() if len(each) == 1}


def _parameters(tuning: pd.DataFrame) -> list[str]:
    columns = list(tuning.columns)
    return columns[columns.index("configuration") + 1 : columns.index("seed")]


def finished_configurations(tuning: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Return the configurations that have a validation loss and a score, with the score in the column score.

    The order is from the last choice to the first: from the highest validation loss to the lowest, of equal ones from
    the highest number.
    """
    rows = tuning.assign(score=tuning[f"validation_{metric.name}"].astype(float))
    known = np.isfinite(rows["validation_loss"].astype(float)) & np.isfinite(rows["score"])
    rows = rows[(rows["status"] == "finished") & known]
    return rows.sort_values(["validation_loss", "configuration"], ascending=False, kind="stable")


def selection_weights(finished: int, unfinished: int, number: int) -> Floats:
    """Return how often each configuration is selected among `number` of all that were tried.

    Each set of so many configurations is equally likely, without replacement. A set is left out if none of it finished.
    Source: Tang et al. 2020, "Showing Your Work Doesn't Always Work". They order configurations by the score; here the
    order is that of the selection, so the weights are right for any score of the selected configuration.

    Args:
        finished: Number of finished configurations, which are ordered from the last choice to the first.
        unfinished: Number of others, which are never selected if another one is in the set.
        number: Size of the sets, from 1 to the number of all configurations.

    Returns:
        (finished,) shares with the sum 1.
    """
    # A configuration is selected if all others of the set come before it in the order.
    sets = [math.comb(unfinished + place, number - 1) for place in range(finished)]
    return np.array([count / sum(sets) for count in sets])


def tuning_curve(tuning: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Compute the expected validation score of the configuration that is selected among n = 1, 2, … configurations.

    This is the mean over all sets of n of the configurations that were tried (unbiased for a search with n random
    configurations of the same space). Drawing with replacement, as in Dodge et al. 2019, "Show Your Work", would
    underestimate it.

    Args:
        tuning: The table `tuning`.
        metric: Metric of the score.

    Returns:
        Columns architecture, configurations (n), expected, low, high and cpu_seconds (n times the mean of a
        configuration; NaN if it is not known). low and high are the 5% and 95% quantiles of the score over the sets:
        how much the result of a search with n of these configurations varies. They are no confidence interval: at the
        last n there is one set only, and they are equal. Ordered by architecture, then n; an architecture of which no
        configuration finished has no rows.
    """
    rows = []
    for name in in_display_order(tuning["architecture"]):
        own = tuning[tuning["architecture"] == name]
        scores = finished_configurations(own, metric)["score"].to_numpy()
        cost = float(own["cpu_seconds"].mean())
        for number in range(1, len(own) + 1) if len(scores) else ():
            weights = selection_weights(len(scores), len(own) - len(scores), number)
            low, high = (weighted_quantile(scores, weights, share) for share in RANGE)
            rows.append((name, number, float(weights @ scores), low, high, number * cost))
    return pd.DataFrame(rows, columns=["architecture", "configurations", "expected", "low", "high", "cpu_seconds"])


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return the smallest value at or below which there is at least this share of the weights, whose sum is 1."""
    order = np.argsort(values, kind="stable")
    place = int(np.searchsorted(np.cumsum(weights[order]), share - 1e-12))
    return float(values[order][min(place, len(values) - 1)])


def crossing_points(curve: pd.DataFrame, axis: str, metric: Metric) -> pd.DataFrame:
    """Find the budgets at which the curves of two architectures cross, between points on straight lines.

    CPU seconds are interpolated by their logarithm, as the figure shows them.

    Curves are compared where both exist. Curves that touch and do not cross have no crossing point.

    Args:
        curve: Table of `tuning_curve`.
        axis: "configurations" or "cpu_seconds".
        metric: Metric of the curves.

    Returns:
        Columns smaller (architecture that is better with a smaller budget), larger (the other one), budget. One row for
        each crossing.
    """
    sign, rows = 1 if metric.greater_is_better else -1, []
    curve = curve[np.isfinite(curve[axis]) & (curve[axis] > 0)]
    scale, unscale = (np.log, np.exp) if axis == "cpu_seconds" else (np.asarray, np.asarray)
    for names in itertools.combinations(curve["architecture"].unique(), 2):
        lines = [(scale(x), y) for x, y in (_line(curve, name, axis) for name in names)]
        budgets = np.unique(np.concatenate([x for x, _ in lines]))
        budgets = budgets[(budgets >= max(x[0] for x, _ in lines)) & (budgets <= min(x[-1] for x, _ in lines))]
        first, second = (np.interp(budgets, x, y) for x, y in lines)
        for budget, before in _sign_changes(budgets, sign * (first - second).round(12)):
            rows.append((*(names if before > 0 else names[::-1]), float(unscale(budget))))
    return pd.DataFrame(rows, columns=["smaller", "larger", "budget"])


def _line(curve: pd.DataFrame, name: str, axis: str) -> tuple[Floats, Floats]:
    rows = curve[curve["architecture"] == name].sort_values(axis)
    return rows[axis].to_numpy(float), rows["expected"].to_numpy(float)


def _sign_changes(budgets: Floats, differences: Floats) -> list[tuple[float, float]]:
    """Return where a difference changes its sign, and the difference before it."""
    known, changes = np.flatnonzero(differences), []
    for left, right in itertools.pairwise(known):
        before, after = differences[left], differences[right]
        if before * after < 0:
            share = before / (before - after)
            between = budgets[left] + share * (budgets[right] - budgets[left])
            changes.append((float(between if right == left + 1 else budgets[left + 1]), float(before)))
    return changes


def tuning_summary(tuning: pd.DataFrame, scores: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Compare the selected configuration of each architecture with the shared recipe, and with new seeds.

    Args:
        tuning: The table `tuning`.
        scores: Scores of the compared trials: columns architecture, seed, split, metric, value.
        metric: Main metric.

    Returns:
        Columns architecture; configurations, diverged, failed (numbers); cpu_seconds (of all configurations; NaN if
        none is known); selected (its number; NaN if there is none); shared and best (validation scores of the shared
        recipe and of the selected configuration in the search, each of one seed), improvement (best minus shared),
        new_seeds (number), mean and std (validation score of the selected configuration over the new seeds, and its
        standard deviation), optimism (best minus mean). A score that is not known is NaN.
    """
    finished = finished_configurations(tuning, metric)
    validation = scores[(scores["split"] == "validation") & (scores["metric"] == metric.name)]
    rows = []
    for name in in_display_order(tuning["architecture"]):
        own, done = (table[table["architecture"] == name] for table in (tuning, finished))
        chosen = done[done["selected"].astype(bool)]
        shared, best = (_only(each["score"]) for each in (done[done["configuration"] == 1], chosen))
        new = validation.loc[validation["architecture"] == name, "value"].dropna()
        mean = float(new.mean())
        rows.append(
            {"architecture": name, "configurations": len(own), "diverged": int((own["status"] == "diverged").sum()),
             "failed": int((own["status"] == "failed").sum()), "cpu_seconds": own["cpu_seconds"].sum(min_count=1),
             "selected": _only(chosen["configuration"]), "shared": shared, "best": best, "improvement": best - shared,
             "new_seeds": len(new), "mean": mean, "std": float(new.std()), "optimism": best - mean}
        )  # fmt: skip
    return pd.DataFrame(rows)


def pooled_seed_std(summary: pd.DataFrame) -> float:
    """Return the standard deviation of the validation score over the new seeds, pooled over the architectures.

    Args:
        summary: Table of `tuning_summary`.

    Returns:
        The square root of the mean variance, weighted by its degrees of freedom; NaN if no architecture has two seeds.
    """
    rows = summary[summary["new_seeds"] >= 2]
    freedom = rows["new_seeds"] - 1
    return float(np.sqrt((freedom * rows["std"] ** 2).sum() / freedom.sum())) if len(rows) else math.nan


def largest_parameter_correlation(tuning: pd.DataFrame) -> float:
    """Return the largest size of a rank correlation between two searched parameters; NaN if no two of them vary.

    All architectures try the same configurations, so that of one architecture is that of all.
    """
    own = tuning[tuning["architecture"] == tuning["architecture"].iloc[0]]
    ranks = own[searched_parameters(tuning)].astype(float).rank()
    sizes = ranks.loc[:, ranks.min() < ranks.max()].corr().abs().to_numpy()
    pairs = sizes[np.triu_indices(len(sizes), 1)]
    return float(pairs.max()) if len(pairs) else math.nan


def _only(values: "pd.Series[float]") -> float:
    return float(values.iloc[0]) if len(values) else math.nan


def parameter_correlations(tuning: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Compute the rank correlation of the validation score with each searched parameter (Spearman).

    It finds a monotonic relation only: a score that is best in the middle of a range has none. It does not separate
    parameters from each other, and does not show interactions.

    Args:
        tuning: The table `tuning`.
        metric: Metric of the score.

    Returns:
        Columns architecture, parameter, configurations (finished ones), correlation in [-1, 1]; NaN with fewer than
        `MIN_CONFIGURATIONS` or if the parameter or the score is the same in all of them.
    """
    from scipy.stats import spearmanr

    finished, rows = finished_configurations(tuning, metric), []
    for name, parameter in itertools.product(in_display_order(tuning["architecture"]), searched_parameters(tuning)):
        own = finished.loc[finished["architecture"] == name, [parameter, "score"]].astype(float)
        varies = len(own) >= MIN_CONFIGURATIONS and (own.min() < own.max()).all()
        correlation = float(spearmanr(own[parameter], own["score"]).statistic) if varies else math.nan
        rows.append((name, parameter, len(own), correlation))
    return pd.DataFrame(rows, columns=["architecture", "parameter", "configurations", "correlation"])


def chance_correlation(configurations: int) -> float:
    """Return the size of a rank correlation that is exceeded in 5% of cases if there is no relation (t approximation).

    Args:
        configurations: Number of configurations, at least 3.
    """
    from scipy.stats import t

    quantile = float(t.ppf(0.975, configurations - 2))
    return quantile / math.sqrt(configurations - 2 + quantile**2)
