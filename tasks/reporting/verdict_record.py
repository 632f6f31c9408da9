"""What a run says about which architecture to use, as a record from which all sentences of the verdict are written."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.metric_names import IMBALANCED_METRIC
from tasks.reporting.summary_tables import has_rare_class
from tasks.reporting.verdict_resamples import TrainingSamples, training_samples
from tasks.reporting.verdict_undecided import Undecided, undecided_pairs
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.ranking import COST_COLUMNS, MAJORITY_BASELINE
from tasks.statistics.significance import EQUIVALENT, INCONCLUSIVE, NOT_SIGNIFICANT

Row = dict[Any, Any]


@dataclass(frozen=True)
class Cost:
    """Mean cost of an architecture over its trials; None where it is not known.

    Attributes:
        parameters: Number of parameters.
        train_seconds: Training time of a seed, in seconds.
        latency_ms: Time to predict one review, in milliseconds.
    """

    parameters: float | None = None
    train_seconds: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class SeedFailures:
    """Seeds of an architecture of which the training failed, see `tasks.statistics.failed_seeds`.

    Attributes:
        architecture: The architecture.
        trials: Number of its trials.
        diverged: Number of trials that diverged and have no scores.
        failed: Number of further trials that failed (see `tasks.statistics.failed_seeds`). Its scores contain them.
        score_without: Mean of the test scores of all other trials; None if there is none, or if `failed` is 0.
    """

    architecture: str
    trials: int
    diverged: int
    failed: int
    score_without: float | None = None


@dataclass(frozen=True)
class RareClass:
    """The rarer class of imbalanced test reviews.

    Attributes:
        name: "negative" or "positive".
        share: Its share of the test reviews, in (0, 0.5).
        recall: Share of it that the recommended architecture finds, mean over the seeds.
        best: Architecture with the highest balanced accuracy on validation, which gives both classes the same weight;
            None if none is above that of a constant prediction, 50% for two classes.
        best_score: Mean of this balanced accuracy.
        best_recall: Share of the rarer class that this architecture finds in the test reviews.
    """

    name: str
    share: float
    recall: float
    best: str | None
    best_score: float
    best_recall: float


@dataclass(frozen=True)
class Verdict:
    """Which architecture is recommended, how it compares with the others, and what it costs.

    Attributes:
        metric: Main metric.
        is_imbalance_default: Whether it is the default for imbalanced test reviews, and was not chosen.
        alpha: Family-wise error rate over all pairs.
        margin: Equivalence margin.
        min_seeds: Smallest number of shared seeds for a test.
        recommended: Architecture with the best validation score. Ties are broken by cost, then by name. See
            `is_recommended`.
        ties: Architectures with the same validation score.
        validation_score: Mean of its validation scores.
        test_score: Mean of its test scores.
        test_low: Lower limit of the 95% interval of the test score.
        test_high: Upper limit.
        seed_variance_known: Whether the interval contains seed variance, or there is none.
        better: Architectures that are significantly better on test.
        worse: Architectures that are significantly worse on test.
        equivalent: Architectures that are equivalent within the margin.
        not_significant: Tested architectures that are none of these.
        inconclusive: Architectures that were not tested, because they share too few seeds.
        one_seed: Architectures whose seed variance is unknown.
        failures: Architectures with seeds that diverged or failed.
        failure_rate: Upper 95% confidence bound of the share of failed trainings of the recommended architecture; None
            if it is not known.
        without_scores: Architectures of which every trial diverged.
        cost: Cost of the recommended architecture.
        cheaper: An architecture with fewer parameters and without failed trials that was tested and is not
            significantly worse; None if there is none.
        cheaper_cost: Its cost.
        rare_class: The rarer class of imbalanced test reviews; None if they are balanced or not known.
        undecided: Details on `not_significant` and `inconclusive`, in this order.
        training: What holds for other training reviews; None if there are no resamples of the training reviews.
    """

    metric: str
    is_imbalance_default: bool
    alpha: float
    margin: float
    min_seeds: int
    recommended: str
    ties: tuple[str, ...]
    validation_score: float
    test_score: float
    test_low: float
    test_high: float
    seed_variance_known: bool
    better: tuple[str, ...]
    worse: tuple[str, ...]
    equivalent: tuple[str, ...]
    not_significant: tuple[str, ...]
    inconclusive: tuple[str, ...]
    one_seed: tuple[str, ...]
    failures: tuple[SeedFailures, ...]
    failure_rate: float | None
    without_scores: tuple[str, ...]
    cost: Cost
    cheaper: str | None
    cheaper_cost: Cost
    rare_class: RareClass | None
    undecided: tuple[Undecided, ...]
    training: TrainingSamples | None = None

    @property
    def is_recommended(self) -> bool:
        """Whether there is a recommendation: not the majority class, and nothing is significantly better on test."""
        return self.recommended != MAJORITY_BASELINE and not self.better

    @property
    def others(self) -> int:
        """Number of other architectures with scores."""
        return sum(map(len, (self.better, self.worse, self.equivalent, self.not_significant, self.inconclusive)))


def verdict_record(frames: Frames) -> Verdict:
    """Return the record of a run.

    Args:
        frames: Frames of `tasks.statistics.comparison.compare`; trials, scores, classes and predictions if they exist.
    """
    groups, setup = frames["groups"], _first_row(frames["setup"])
    best = _first_row(groups[groups["best"]])
    metric, name = str(setup["metric"]), str(best["architecture"])
    test = frames["summary"].query("split == 'test' and metric == @metric").set_index("architecture")
    failures = seed_failures(test)
    cheaper = _cheaper(groups, {failure.architecture for failure in failures})
    score = _first_row(test[test.index == name])
    others = groups[~groups["best"]]
    results = {
        verdict: tuple(others.loc[others["verdict"] == verdict, "architecture"].map(str))
        for verdict in ("better", "worse", EQUIVALENT, NOT_SIGNIFICANT, INCONCLUSIVE)
    }
    tied = others["validation_mean"].round(12) == round(best["validation_mean"], 12)
    return Verdict(
        metric=metric, is_imbalance_default=bool(setup.get("metric_is_default")) and metric == IMBALANCED_METRIC,
        alpha=setup["alpha"], margin=setup["margin"], min_seeds=int(setup["min_seeds"]),
        recommended=name, ties=tuple(others.loc[tied, "architecture"].map(str)),
        validation_score=best["validation_mean"], test_score=best["test_mean"], test_low=score["low"],
        test_high=score["high"], seed_variance_known=bool(np.isfinite(score["seed_variance"])),
        better=results["better"], worse=results["worse"], equivalent=results[EQUIVALENT],
        not_significant=results[NOT_SIGNIFICANT], inconclusive=results[INCONCLUSIVE],
        one_seed=tuple(test.index[test["seed_variance"].isna()].map(str)),
        failures=failures, failure_rate=_finite(score.get("failure_rate_high")), without_scores=_without_scores(frames),
        cost=read_cost(best), cheaper=cheaper, cheaper_cost=_cost_of(groups, cheaper),
        rare_class=_rare_class(frames, name),
        undecided=undecided_pairs(frames, name, results[NOT_SIGNIFICANT] + results[INCONCLUSIVE]),
        training=training_samples(frames, name, metric),
    )  # fmt: skip


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _first_row(frame: pd.DataFrame) -> Row:
    return frame.iloc[0].to_dict()


def read_cost(row: Mapping[Any, Any]) -> Cost:
    """Return the cost in a row of the frame groups; a cost that is missing, or not a number, is not known."""
    return Cost(**{name: float(row[name]) for name in COST_COLUMNS if name in row and np.isfinite(row[name])})


def _cost_of(groups: pd.DataFrame, name: str | None) -> Cost:
    return Cost() if name is None else read_cost(_first_row(groups[groups["architecture"] == name]))


def _cheaper(groups: pd.DataFrame, failed: Set[str]) -> str | None:
    """Return the cheapest architecture of the best group if it has fewer parameters than the recommended one.

    If some of its trials failed it is no alternative, because the failures hide how well it compares.
    """
    if "parameters" not in groups:
        return None
    parameters = float(groups.loc[groups["best"], "parameters"].iloc[0])
    names = groups.loc[groups["cheapest"] & (groups["parameters"] < parameters), "architecture"]
    return str(names.iloc[0]) if len(names) and names.iloc[0] not in failed else None


def seed_failures(summary: pd.DataFrame) -> tuple[SeedFailures, ...]:
    """Return the architectures with seeds that diverged or failed.

    Args:
        summary: Rows of the frame summary for the test split and the main metric, indexed by architecture.
    """
    rows = []
    for name, row in zip(summary.index.map(str), summary.to_dict("records"), strict=True):
        seeds, diverged, failed = int(row["seeds"]), int(row["diverged"]), int(row["failed"])
        without = float(row["mean_without_failed"]) if 0 < failed < seeds else None
        rows.append(SeedFailures(name, seeds + diverged, diverged, failed, without))
    return tuple(row for row in rows if row.diverged or row.failed)


def _without_scores(frames: Frames) -> tuple[str, ...]:
    """Return the architectures that have trials, but no scores."""
    if "trials" not in frames:
        return ()
    scored = set(frames["groups"]["architecture"])
    return tuple(name for name in dict.fromkeys(map(str, frames["trials"]["architecture"])) if name not in scored)


def _rare_class(frames: Frames, name: str) -> RareClass | None:
    """Return the rarer class with the recall of an architecture, if the test reviews are imbalanced."""
    if "classes" not in frames or not has_rare_class(frames):
        return None
    rows = frames["classes"].query("split == 'test'")
    support = rows.groupby("class", sort=False)["support"].mean()
    rare = str(support.idxmin())
    recall = rows[rows["class"] == rare].groupby("architecture", observed=True)["recall"].mean()
    balanced = frames["scores"].query("split == 'validation' and metric == @IMBALANCED_METRIC")
    means = balanced.groupby("architecture", observed=True)["value"].mean()
    share = float(support.min() / support.sum())
    chance = round(1 / len(support), 12)  # balanced accuracy of a constant prediction
    above_chance = [each for each in frames["groups"]["architecture"] if round(means.get(each, 0), 12) > chance]
    if not above_chance:
        return RareClass(rare, share, float(recall[name]), None, np.nan, np.nan)
    best = max(above_chance, key=lambda each: round(means[each], 12))  # of equal ones the first
    return RareClass(rare, share, float(recall[name]), best, float(means[best]), float(recall[best]))
