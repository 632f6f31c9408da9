"""A plan of a comparison as text: the table of seeds, and what is needed to detect a difference."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from tasks.config.escape import escape_terminal
from tasks.config.labels import label
from tasks.config.metric_names import DEFAULT_METRIC
from tasks.evaluation.metric_record import Metric
from tasks.evaluation.metrics import METRICS
from tasks.reporting.verdict_format import format_size, join_labels, join_texts, pluralize
from tasks.statistics.durations import TrainingTimes, resample_seconds, run_seconds, search_seconds, without_time
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.planned_resamples import MAX_RESAMPLES, TrainingVariance, resample_needs
from tasks.statistics.planning import (
    Goal,
    PairNeeds,
    PairVariance,
    Range,
    detectable_difference,
    pair_needs,
    planned_power,
    relevant_pairs,
    typical_and_noisiest,
)
from tasks.statistics.power import MAX_SEEDS
from tasks.statistics.significance import MIN_SEEDS
from tasks.statistics.training_sample import MIN_RESAMPLES

SHOWN_SEEDS = (3, 5, 10, 20)
NONE = "none"
KINDS = ("Typical", "Noisiest")


@dataclass(frozen=True)
class Plan:
    """A planned comparison.

    Attributes:
        goal: What it has to detect.
        tests: Number of pairs in Holm's procedure.
        architectures: Its networks.
        seeds: Number of seeds that the user intends.
        workers: Number of worker processes.
        pairs: Known variances of pairs.
        failed: Architectures with failed seeds in the run that the variances come from.
        variances_source: Where the variances come from, in words.
        data_source: Description of the reviews.
        times: Expected seconds of one training.
        training: Known variances of pairs between samples of training reviews.
        training_source: Where they come from, or why there are none, in words.
        metric: Metric of the differences.
        tune: Number of configurations that each network tries before; 0 without a search.
    """

    goal: Goal
    tests: int
    architectures: list[str]
    seeds: int
    workers: int
    pairs: list[PairVariance]
    failed: list[str]
    variances_source: str
    data_source: str
    times: TrainingTimes
    training: Mapping[frozenset[str], TrainingVariance] = field(default_factory=dict)
    training_source: str = "the variances do not contain them"
    metric: Metric = METRICS[DEFAULT_METRIC]
    tune: int = 0


def format_plan(plan: Plan) -> str:
    """Return the plan as text for a terminal."""
    relevant = relevant_pairs(plan.pairs, plan.architectures)
    shown = typical_and_noisiest(relevant, plan.goal)
    needs = [pair_needs(pair, plan.goal, min_seeds=max(plan.seeds, 10)) for pair in shown]
    parts = [
        _format_setting(plan),
        _format_pairs(plan, shown, len(relevant)),
        plan_table(plan, needs).to_string(index=False),
        "\n".join([_format_current(plan, shown), *(_format_needs(plan, each) for each in needs)]),
        "\n".join(_format_resamples(plan, needs)),
    ]
    return "\n\n".join(parts)


def plan_table(plan: Plan, needs: Sequence[PairNeeds]) -> pd.DataFrame:
    """Return what some numbers of seeds detect, and how long they take, as texts.

    The numbers of seeds are those of the plan, those that the pairs need, and `SHOWN_SEEDS`.
    """
    counts = {plan.seeds, *SHOWN_SEEDS, *(int(each.seeds.point) for each in needs if math.isfinite(each.seeds.point))}
    return pd.DataFrame([_table_row(plan, needs, seeds) for seeds in sorted(counts)])


def _table_row(plan: Plan, needs: Sequence[PairNeeds], seeds: int) -> dict[str, str]:
    row = {"Seeds": f"{seeds:,}"}
    for each, kind in zip(needs, KINDS, strict=False):
        row[f"{kind}: {plan.metric.unit.difference}"] = _format_number(
            plan, detectable_difference(each.pair, seeds, plan.goal)
        )
        row[f"{kind}: power (%)"] = f"{100 * planned_power(each.pair, seeds, plan.goal):.0f}"
    return row | {"Minutes": _format_minutes(plan, seeds)}


def _format_setting(plan: Plan) -> str:
    """Format what is planned, and where the numbers come from."""
    goal = plan.goal
    unknown = without_time(plan.times, plan.architectures)
    margin = ComparisonOptions().margin
    equivalent = (
        f" A difference within {format_size(margin, plan.metric.name)} may be called equivalent instead of significant."
        if goal.difference < margin and plan.metric.has_margin else ""
    )  # fmt: skip
    missing = f" The time of {join_labels(unknown)} is unknown and not included." if unknown else ""
    return "\n".join(
        [
            f"Plan: detect a true difference of {_goal(plan)} in test {plan.metric.text} with a power of "
            f"{_percent(goal.power)}, on {goal.reviews:,} test reviews ({escape_terminal(plan.data_source)}).",
            f"Networks: {join_labels(plan.architectures)}.",
            f"Variances: {plan.variances_source}.",
            f"Times: {plan.times.source}; {pluralize(plan.workers, 'worker')}, if nothing is in the cache.{missing}",
            *([_format_search(plan)] if plan.tune else []),
            f"Level of each test: {goal.level:.4f} (0.05 corrected by Holm for {pluralize(plan.tests, 'pair')} that "
            f"may be equal). No difference is called significant with fewer than {MIN_SEEDS} seeds.{equivalent}",
        ]
    )


def _format_search(plan: Plan) -> str:
    """Format how many trainings a search adds, how long they take, and why this is uncertain."""
    networks, tried = len(plan.architectures), pluralize(plan.tune, "configuration")
    seconds = search_seconds(plan.times, plan.architectures, plan.tune, plan.workers)
    return (
        f"Tuning: {tried} of each network, with one seed each, are {networks * plan.tune:,} trainings before the "
        f"{networks * plan.seeds:,} of {pluralize(plan.seeds, 'seed')}. They add {_format_seconds(plan, seconds)} "
        "minutes, which are part of all minutes below. All minutes are less certain with tuning: they are those of the "
        "recipe without it, but configurations differ in units and batch size, and the selected ones are trained with "
        "the seeds."
    )


def _format_pairs(plan: Plan, shown: Sequence[PairVariance], count: int) -> str:
    """Format which pairs the table is about."""
    known = {name for pair in plan.pairs for name in pair.names}
    others = [name for name in plan.architectures if name not in known]
    lines = [f"Typical pair (median of {count}): {_names(shown[0])}."]
    if len(shown) > 1:
        lines.append(f"Noisiest pair: {_names(shown[1])}.")
    if others:
        lines.append(f"No variance of {join_labels(others)} is known; the pairs above stand for others.")
    if failed := [name for name in plan.failed if any(name in pair.names for pair in shown)]:
        lines.append(f"Seeds of {join_labels(failed)} failed in that run, which makes its pairs noisier.")
    lines.append(
        f"{plan.metric.unit.difference.capitalize()}: smallest true difference that is detected with a power of "
        f"{_percent(plan.goal.power)}. Power: for {_goal(plan)}."
    )
    return "\n".join(lines)


def _format_current(plan: Plan, shown: Sequence[PairVariance]) -> str:
    """Format what the number of seeds of the plan detects."""
    seeds = pluralize(plan.seeds, "seed")
    if plan.seeds < MIN_SEEDS:
        return f"With {seeds}, nothing can be detected: at least {MIN_SEEDS} seeds are needed."
    found = [
        f"{_format_size(plan, detectable_difference(pair, plan.seeds, plan.goal))} for {_names(pair)}" for pair in shown
    ]
    return f"With {seeds}, the smallest difference that is detected is {join_texts(found)}."


def _format_needs(plan: Plan, needs: PairNeeds) -> str:
    """Format the seeds, or seeds and test reviews, that a pair needs."""
    goal = plan.goal
    target = f"To detect {_goal(plan)} with {_percent(goal.power)} power between {_names(needs.pair)}"
    if math.isfinite(needs.seeds.point):
        seeds = int(needs.seeds.point)
        return (
            f"{target}: {pluralize(seeds, 'seed')} ({_format_seeds(needs.seeds)}), "
            f"{_format_minutes(plan, seeds)} minutes on this machine, at {goal.reviews:,} test reviews."
        )
    if needs.limit <= goal.difference:
        return f"{target}: more than {MAX_SEEDS:,} seeds, at {goal.reviews:,} test reviews."
    sampling = (
        f"no number of seeds suffices. The sampling of {goal.reviews:,} test reviews alone limits what can be detected "
        f"to {_format_size(plan, needs.limit)}"
    )
    if needs.reviews is None:
        return f"{target}, {sampling}, and even with unlimited test reviews more than {MAX_SEEDS:,} seeds are needed."
    return f"{target}, {sampling}. With {needs.reviews_seeds:,} seeds, {needs.reviews:,} test reviews are needed."


def _format_resamples(plan: Plan, needs: Sequence[PairNeeds]) -> list[str]:
    """Format how many resamples of the training reviews the pairs need, or that it is not known."""
    known = [each for each in needs if frozenset(each.pair.names) in plan.training]
    if not known:
        return [
            "How many resamples of the training reviews (--resample-training) a result needs to hold for other "
            f"training reviews is unknown, because {plan.training_source}; the fewest that allow this statement, "
            f"{MIN_RESAMPLES}, add {_format_added_minutes(plan, MIN_RESAMPLES)} minutes."
        ]
    return [_format_pair_resamples(plan, each, plan.training[frozenset(each.pair.names)]) for each in known]


def _format_pair_resamples(plan: Plan, needs: PairNeeds, training: TrainingVariance) -> str:
    """Format the seeds and resamples that a pair needs."""
    names = _names(needs.pair)
    varies = (
        f"The sample of training reviews varies the difference by {_format_size(plan, training.variance**0.5)} "
        f"(standard deviation, from {pluralize(training.resamples, 'resample')} of {plan.training_source})."
    )
    if not math.isfinite(needs.seeds.point):
        return f"For other training reviews, the difference between {names} is even harder to detect. {varies}"
    found = resample_needs(needs.pair, training, max(int(needs.seeds.point), plan.seeds), plan.goal)
    start = f"For {_goal(plan)} between {names} to hold for other training reviews as well"
    if found.resamples is None:
        return (
            f"{start}, {MAX_RESAMPLES} resamples and {pluralize(found.seeds, 'seed')} do not suffice: they detect "
            f"{_format_size(plan, found.detectable)}. {varies}"
        )
    return (
        f"{start}: {pluralize(found.seeds, 'seed')} and {pluralize(found.resamples, 'resample')} "
        f"(--resample-training {found.resamples}). The seeds take {_format_minutes(plan, found.seeds)} minutes, the "
        f"resamples add {_format_added_minutes(plan, found.resamples)}. {varies}"
    )


def _format_seeds(seeds: Range) -> str:
    """Format the limits of a number of seeds."""
    high = f"{seeds.high:,.0f}" if math.isfinite(seeds.high) else f"more than {MAX_SEEDS:,}"
    return f"95% limits of this estimate: {seeds.low:,.0f} to {high}"


def _format_minutes(plan: Plan, seeds: int) -> str:
    """Format the duration with its limits in minutes, `9 (6 to 18)`, or only the lower one if a time is unknown."""
    return _format_seconds(plan, run_seconds(plan.times, plan.architectures, seeds + plan.tune, plan.workers))


def _format_added_minutes(plan: Plan, resamples: int) -> str:
    """Format the duration that resamples add, as `_format_minutes`."""
    return _format_seconds(plan, resample_seconds(plan.times, plan.architectures, resamples, plan.workers))


def _format_seconds(plan: Plan, seconds: Range) -> str:
    low, point, high = (f"{max(value / 60, 1):,.0f}" for value in seconds)
    return f"over {low}" if without_time(plan.times, plan.architectures) else f"{point} ({low} to {high})"


def _format_size(plan: Plan, difference: float) -> str:
    """Format a difference with its unit, which is `NONE` if no difference is detected."""
    unit = plan.metric.unit.difference
    return f"{NONE} {unit}" if math.isnan(difference) else format_size(difference, plan.metric.name)


def _format_number(plan: Plan, difference: float) -> str:
    return _format_size(plan, difference).split()[0]


def _goal(plan: Plan) -> str:
    """Format the difference to detect as it was given: `1 point`, `0.5 points`, `0.01 nats`."""
    unit = plan.metric.unit
    number = f"{unit.factor * plan.goal.difference:g}"
    return f"{number} {unit.difference.removesuffix('s') if number == '1' else unit.difference}"


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _names(pair: PairVariance) -> str:
    return f"{label(pair.first)} and {label(pair.second)}"
