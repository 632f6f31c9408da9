"""The trials that a run compares."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.trials.experiment import Experiment
from tasks.data.records import EncodedDataset
from tasks.execution.outcomes import SearchOutcome
from tasks.execution.plan import plan_resampled_trials, plan_trials
from tasks.execution.schedule import due_date
from tasks.nightly.selection import NightlySelection
from tasks.storage.trial_records import TrialSpec
from tasks.tuning.table import selected_recipes


@dataclass(frozen=True)
class ComparisonPlan:
    """The trials of a run without those of its search, and the selection of the nightly runs among them."""

    specs: list[TrialSpec]
    selection: NightlySelection


def plan_comparison(experiment: Experiment, encoded: Sequence[EncodedDataset], search: SearchOutcome) -> ComparisonPlan:
    """Plan each architecture with each seed, the baselines, and all of them on each resample of the training reviews.

    Args:
        experiment: What the run compares.
        encoded: Encoded data set of each fraction of the training reviews.
        search: The search. Architectures for which it selected nothing are left out.
    """
    parameters, recipe, cache = experiment.parameters, experiment.recipe, experiment.cache
    shared = dict.fromkeys(parameters.architectures, recipe)
    recipes = selected_recipes(search.table, recipe) if parameters.tune else shared
    selection = NightlySelection.read(
        parameters,
        encoded[0].dataset.fingerprint,
        experiment.results,
        parameters.nightly_date or due_date(),
        recipes,
        vectors=experiment.vectors.key if experiment.vectors else "",
    )
    specs = selection.select_trials(lambda seeds: plan_trials(recipes, seeds, recipe, encoded, cache))
    specs += plan_resampled_trials(recipes, parameters.resample_training, recipe, encoded, cache)
    return ComparisonPlan(specs, selection)
