"""Who stands with the best: tests of all at once, rank groups, the cheapest, what a search would find."""

import numpy as np
import pandas as pd

from tasks.evaluation.metrics import LOWER_IS_BETTER, Floats
from tasks.evaluation.predictions import Panel, averaged_answers

COSTS = ("parameters", "latency_ms", "train_seconds")


def omnibus(data: Panel, given: Floats, metric: str) -> pd.DataFrame:
    """Test whether any architecture differs from the others at all, before any pair is looked at.

    Cochran's Q asks on the reviews, with each architecture's mean probability over its seeds as its answer: it is
    about the models at hand and knows no seed noise. Friedman asks on the seeds that all have in common (Demsar 2006).

    Args:
        data: The test predictions.
        given: (architectures, seeds, reviews) contributions to the main metric.
        metric: Its name.

    Returns:
        Columns test, statistic, p, over, note; where there is nothing to test, statistic 0, p 1 and a note why.
    """
    return pd.DataFrame([_cochran(data), _friedman(data, given, metric)])


def _cochran(data: Panel) -> dict[str, object]:
    from statsmodels.stats.contingency_tables import cochrans_q

    answers = averaged_answers(data).T.astype(int)
    row: dict[str, object] = {"test": "Cochran's Q", "statistic": 0.0, "p": 1.0, "over": len(answers), "note": ""}
    if answers.shape[1] < 2 or (answers == answers[:, :1]).all():
        return {**row, "note": "nothing to test: all are right and wrong on the same reviews"}
    result = cochrans_q(answers)
    return {**row, "statistic": float(result.statistic), "p": float(result.pvalue)}


def _friedman(data: Panel, given: Floats, metric: str) -> dict[str, object]:
    from scipy.stats import friedmanchisquare

    several = data.present.sum(axis=1) > 1
    common = data.present[several].all(axis=0) if several.any() else np.zeros(data.present.shape[1], dtype=bool)
    # Rounded, for equal scores differ in the last bits by the order of adding, and would not tie.
    scores = given[several][:, common].mean(axis=2).round(12) if common.any() else np.zeros((0, 0))
    row: dict[str, object] = {"test": "Friedman", "statistic": 0.0, "p": 1.0, "over": int(common.sum()), "note": ""}
    if scores.shape[0] < 3 or scores.shape[1] < 2:
        return {**row, "note": "nothing to test: it takes three architectures with two seeds in common"}
    if (scores == scores[:1]).all():
        return {**row, "note": f"nothing to test: the same {metric} with every seed"}
    result = friedmanchisquare(*scores)
    return {**row, "statistic": float(result.statistic), "p": float(result.pvalue)}


# What knowing nothing comes to costs least, but is no candidate, though few seeds cannot set it apart.
MAJORITY = "majority"


def rank_groups(
    summary: pd.DataFrame, pairs: pd.DataFrame, trials: pd.DataFrame | None, *, metric: str
) -> pd.DataFrame:
    """Group the architectures: the best on validation with all that test does not put below it, then the rest alike.

    "Not separable" does not carry over from one to the next, so each group is what stands with its own first, the
    best of those left by validation mean.

    Returns:
        Columns architecture, group (from 1), best, cheapest (bool, one of the best group), validation_mean, test_mean,
        difference, low, high (test, against the best; 0 for itself), verdict (against the best: "best", "worse",
        "better", "equivalent", "not separable", "too few seeds"), then the costs that the trials know.
    """
    scores = summary[summary["metric"] == metric].pivot_table(index="architecture", columns="split", values="mean")
    sign = -1 if metric in LOWER_IS_BETTER else 1
    costs = _costs(trials).reindex(scores.index)
    keys = scores.assign(**{"rank": -sign * scores["validation"].round(12), **costs}).reset_index()
    order = keys.sort_values(["rank", *costs.columns, "architecture"])["architecture"].tolist()
    against = {name: versus(pairs, name, metric) for name in order}
    group: dict[str, int] = {}
    while left := [name for name in order if name not in group]:
        first, number = left[0], max(group.values(), default=0) + 1
        group |= {name: number for name in left if name == first or against[first][name]["verdict"] != "worse"}
    best = order[0]
    itself = {"difference": 0.0, "low": 0.0, "high": 0.0, "verdict": "best"}
    rows = [
        {
            "architecture": name, "group": group[name], "best": name == best, "cheapest": False,
            "validation_mean": scores.loc[name, "validation"], "test_mean": scores.loc[name, "test"],
            **(itself if name == best else against[best][name]), **costs.loc[name],
        }
        for name in order
    ]  # fmt: skip
    groups = pd.DataFrame(rows)
    placed = (groups["architecture"] != MAJORITY) & (groups["verdict"] != "too few seeds")
    candidates = groups[(groups["group"] == 1) & (groups["best"] | placed)]
    known = candidates.dropna(subset=list(costs.columns[:1]))
    if len(costs.columns) and len(known):
        groups.loc[known.sort_values(list(costs.columns), kind="stable").index[0], "cheapest"] = True
    return groups


def versus(pairs: pd.DataFrame, name: str, metric: str) -> dict[str, dict[str, object]]:
    """Read the pairs from one architecture's side: the other's difference to it, and how the other does."""
    words = {"first": ("worse", "better"), "second": ("better", "worse")}
    found: dict[str, dict[str, object]] = {}
    for row in pairs[pairs["metric"] == metric].to_dict("records"):
        if name not in (row["first"], row["second"]):
            continue
        place, other, flip = ("first", "second", -1) if row["first"] == name else ("second", "first", 1)
        low, high = sorted((flip * row["low"], flip * row["high"]))
        verdict = dict(zip(("first better", "second better"), words[place], strict=True)).get(
            row["verdict"], row["verdict"]
        )
        found[row[other]] = {"difference": flip * row["difference"], "low": low, "high": high, "verdict": verdict}
    return found


def _costs(trials: pd.DataFrame | None) -> pd.DataFrame:
    """Average what the trials know of each architecture's costs, the most telling first."""
    if trials is None:
        return pd.DataFrame()
    known = [cost for cost in COSTS if cost in trials]
    return trials.groupby("architecture", observed=True)[known].mean()


def expected_validation(data: Panel, given: Floats, trials: pd.DataFrame | None, *, metric: str) -> pd.DataFrame:
    """Compute the best validation score to expect from n runs, n = 1 to k.

    E[max of n] under the empirical distribution of the k scores. Source: Dodge et al. 2019, "Show Your Work: Improved
    Reporting of Experimental Results". With a metric where lower is better it is the lowest to expect.

    Returns:
        Columns architecture, runs, expected, seconds (training seconds of so many runs; NaN where no trial tells).
    """
    costs = _costs(trials)
    seconds = costs["train_seconds"] if "train_seconds" in costs else pd.Series(dtype=float)
    rows = []
    for name, table, there in zip(data.architectures, given, data.present, strict=True):
        scores = table[there].mean(axis=1)
        for runs in range(1, len(scores) + 1):
            best = expected_best(scores, runs, lower=metric in LOWER_IS_BETTER)
            cost = runs * seconds.get(name, np.nan)
            rows.append({"architecture": name, "runs": runs, "expected": best, "seconds": cost})
    return pd.DataFrame(rows)


def expected_best(scores: Floats, runs: int, *, lower: bool = False) -> float:
    """Compute the mean of the best of `runs` draws, with replacement, from the scores."""
    ordered = np.sort(-scores if lower else scores)
    shares = (np.arange(len(ordered) + 1) / len(ordered)) ** runs
    best = float(ordered @ np.diff(shares))
    return -best if lower else best
