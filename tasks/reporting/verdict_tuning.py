"""What the verdict says about the search for configurations: the budget of each network and of the baselines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tasks.config.labels import BASELINE_NAMES, BASELINE_SEARCHES, in_display_order
from tasks.reporting.formatting import format_number
from tasks.reporting.verdict_format import format_size, join_labels, pluralize
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.main_metric import main_metric
from tasks.statistics.tuning import has_tuning, pooled_seed_std, tuning_summary

NOISE_LIMIT = 2.0  # standard deviations below which a difference is called noise


@dataclass(frozen=True)
class TuningBudget:
    """Budget of the search of one network.

    Attributes:
        architecture: The network.
        configurations: Number of configurations that were tried.
        cpu_seconds: CPU time of all of them, in seconds; None if that of any is not known.
    """

    architecture: str
    configurations: int
    cpu_seconds: float | None


def tuning_budgets(tuning: pd.DataFrame) -> list[TuningBudget]:
    """Return the budget of each network in the table tuning."""
    rows = {name: tuning[tuning["architecture"] == name] for name in in_display_order(tuning["architecture"])}
    seconds = {name: own["cpu_seconds"].astype(float) for name, own in rows.items()}
    return [
        TuningBudget(name, len(own), float(seconds[name].sum()) if seconds[name].notna().all() else None)
        for name, own in rows.items()
    ]


def tuning_sentences(frames: Frames) -> list[str]:
    """Format the budget with which each compared network was tuned; nothing if none was tuned.

    Args:
        frames: Frames groups, and tuning if there was a search.
    """
    tuning = frames.get("tuning")
    if tuning is None or not has_tuning(tuning):
        return []
    compared = [str(name) for name in frames["groups"]["architecture"]]
    budgets = [budget for budget in tuning_budgets(tuning) if budget.architecture in compared]
    if not budgets:
        return []
    tuned = {budget.architecture for budget in budgets}
    untuned = in_display_order({name for name in compared if name not in BASELINE_NAMES} - tuned)
    clauses = [describe_budgets(budgets, others=len(untuned))]
    if untuned:
        clauses.append(f"{join_labels(untuned)} {'was' if len(untuned) == 1 else 'were'} not tuned")
    clauses += describe_baselines(compared)
    return [
        f"{'; '.join(clauses)}. {describe_gains(frames, compared)}The results hold for the configurations that were "
        "selected: another search may select others, which the intervals do not contain."
    ]


def describe_gains(frames: Frames, compared: Sequence[str]) -> str:
    """Format what tuning gained in validation score over the shared recipe, and whether this is more than noise.

    Args:
        frames: The frame tuning, and scores and setup if they exist.
        compared: Architectures to describe.

    Returns:
        A sentence that ends with a space; empty if no gain or the noise is not known.
    """
    if "scores" not in frames:
        return ""
    metric = main_metric(frames.get("setup"))
    summary = tuning_summary(frames["tuning"], frames["scores"], metric)
    gains = summary.loc[summary["architecture"].isin(compared), "improvement"].dropna()
    noise = math.sqrt(2) * pooled_seed_std(summary)
    if gains.empty or math.isnan(noise):
        return ""
    low, high = (
        format_number(gain, metric.unit.digits, metric.unit.factor, sign=True).text
        for gain in (gains.min(), gains.max())
    )
    size = high if low == high else f"{low} to {high}"
    within = gains.abs().max() < NOISE_LIMIT * noise
    return (
        f"Selection changed the validation {metric.text} by {size} {metric.unit.difference}, with one seed each; the "
        f"standard deviation of such a difference is {format_size(noise, metric.name)}"
        f"{', so no change can be told from noise' if within else ''}. "
    )


def describe_budgets(budgets: Sequence[TuningBudget], others: int) -> str:
    """Format the budgets of tuned networks.

    Args:
        budgets: The budgets, at least one.
        others: Number of further networks, which were not tuned.
    """
    numbers = sorted({budget.configurations for budget in budgets})
    counts = pluralize(numbers[-1], "configuration")
    if len(numbers) > 1:
        counts = f"{numbers[0]} to {counts}"
    names = join_labels([budget.architecture for budget in budgets])
    subject = "Each network" if len(budgets) > 1 and not others else names
    verb = "were each" if subject == names and len(budgets) > 1 else "was"
    return f"{subject} {verb} tuned with {counts}{format_cpu_range(budgets)}, selected on validation loss"


def format_cpu_range(budgets: Sequence[TuningBudget]) -> str:
    """Format the CPU time of the budgets in parentheses, if that of all is known."""
    seconds = [budget.cpu_seconds for budget in budgets if budget.cpu_seconds is not None]
    if len(seconds) < len(budgets):
        return ""
    low, high = f"{min(seconds):,.0f}", f"{max(seconds):,.0f}"
    return f" ({low if low == high else f'{low} to {high}'} CPU seconds)"


def describe_baselines(compared: Sequence[str]) -> list[str]:
    """Format the searches of the compared baselines, one clause for each number of values."""
    names: dict[int, list[str]] = {}
    for name in in_display_order(compared):
        if name in BASELINE_SEARCHES:
            names.setdefault(BASELINE_SEARCHES[name], []).append(name)
    return [
        f"{join_labels(each)} tried {pluralize(count, 'value')} of one hyperparameter{' each' * (len(each) > 1)}, "
        "and their validation scores are those that selected it"
        for count, each in names.items()
    ]
