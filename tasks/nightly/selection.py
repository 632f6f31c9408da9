"""Trials of a nightly run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Self

import pandas as pd

from tasks.config.parameters import Parameters
from tasks.config.recipe import Recipe
from tasks.nightly.history import HistoryPartition, read_history
from tasks.nightly.seeds import FIRST_NIGHTLY_SEED, REUSED_RUNS, nightly_seeds, reusable_trials
from tasks.storage.trial_records import TrialSpec, select_largest_fraction


@dataclass(frozen=True)
class NightlySelection:
    """Date, seeds and history from which the trials of a run are selected.

    Attributes:
        night: Date of the nightly run.
        seeds: Number of first seeds: 0, 1, and so on.
        new_seeds: Number of seeds that are derived from the date; 0 for a run that is not nightly.
        partition: Data and configuration of the run.
        history: History of all earlier runs.
    """

    night: date
    seeds: int
    new_seeds: int
    partition: HistoryPartition
    history: pd.DataFrame

    @classmethod
    def read(
        cls,
        parameters: Parameters,
        fingerprint: str,
        results: Path,
        night: date,
        recipes: Mapping[str, Recipe],
        *,
        vectors: str = "",
    ) -> Self:
        """Read the history and return the selection of a run.

        Args:
            parameters: Parameters of the run.
            fingerprint: SHA-256 of the reviews, hexadecimal.
            results: The results folder.
            night: Date of the nightly run.
            recipes: Recipe of each architecture.
            vectors: Key of the word vectors; empty without.
        """
        train_fraction = max(parameters.train_fractions)
        tuned = recipes if parameters.tune else None
        partition = HistoryPartition.from_recipe(fingerprint, parameters.recipe(), train_fraction, tuned, vectors)
        return cls(night, parameters.seeds, parameters.new_seeds, partition, read_history(results))

    @property
    def own_seeds(self) -> list[int]:
        """Return the seeds that are derived from the date."""
        return nightly_seeds(self.night, self.new_seeds)

    def select_trials(self, plan: Callable[[Sequence[int]], list[TrialSpec]]) -> list[TrialSpec]:
        """Return the trials of the first seeds, of the new seeds, and of earlier nightly runs that are in the cache.

        Smaller train fractions get the first seeds only.

        Args:
            plan: Function from seeds to the trials of a comparison.
        """
        reused = reusable_trials(self.partition.select(self.history), self.night) if self.own_seeds else {}
        specs = plan([*range(self.seeds), *sorted(set(reused.values())), *self.own_seeds])
        largest = select_largest_fraction(specs)
        return [
            spec for spec in specs
            if spec.seed < self.seeds
            or (spec in largest and (spec.seed in self.own_seeds or spec.name in reused))
        ]  # fmt: skip

    def find_missing_trials(self, specs: Sequence[TrialSpec], scores: pd.DataFrame) -> list[str]:
        """Return the labels of the new trials that have no score."""
        scored = set(zip(scores["architecture"], scores["seed"], strict=True))
        new = (spec for spec in specs if spec.seed in self.own_seeds)
        return [spec.label for spec in new if (spec.architecture, spec.seed) not in scored]

    def extend_history(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the history up to the date of this run, with the rows that this run adds."""
        history = pd.concat([self.history, self.partition.label(rows)], ignore_index=True)
        return history[history["night"] <= self.night].reset_index(drop=True)


def find_reused_trials(history: pd.DataFrame, today: date) -> set[str]:
    """Return the names of the trials that a next nightly run would take from the cache.

    These are the trials of the last nightly runs, and those of the first seeds in the last nightly run. Only data and
    configurations with a nightly run in the last `REUSED_RUNS` days count, and those of the very last nightly run.

    Args:
        history: The whole history.
        today: The date of today.
    """
    if history.empty:
        return set()
    nightly = history[history["new_seeds"] > 0]
    if nightly.empty:
        return set()
    first_day = min(today, nightly["night"].max()) - timedelta(days=REUSED_RUNS)
    names: set[str] = set()
    for _, runs in nightly.groupby(["data", "configuration"]):
        if runs["night"].max() >= first_day:
            last_run = runs[runs["started"] == runs["started"].max()]
            names.update(last_run.loc[last_run["seed"] < FIRST_NIGHTLY_SEED, "trial"])
            names.update(reusable_trials(runs, date.max))
    return names
