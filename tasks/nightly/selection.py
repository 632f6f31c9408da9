"""Select the seeds of a nightly run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from prefect.logging import get_run_logger

from tasks.nightly import history
from tasks.nightly.due import due_date

Call = dict[str, Any]


@dataclass(frozen=True)
class Night:
    """One night: its date, how many seeds of its own it has beside the first `seeds`, and the nights before it."""

    date: date
    seeds: int
    new_seeds: int
    where: dict[str, str]
    past: pd.DataFrame

    @classmethod
    def of(cls, asked: Any, fingerprint: str, place: Path) -> "Night":
        """Read the history.

        Args:
            asked: The run's `Parameters`.
            fingerprint: Of the reviews.
            place: The folder of results.
        """
        where = history.partition(fingerprint, asked.recipe(), max(asked.train_fractions))
        past = history.read(place, get_run_logger().warning)
        return cls(asked.night or due_date(), asked.seeds, asked.new_seeds, where, past)

    def calls(self, planned: Callable[[Sequence[int]], list[Call]]) -> list[Call]:
        """List what to train or find: the first seeds, tonight's, and what nights before have left in the cache.

        Args:
            planned: Gives the calls of `train` for seeds.
        """
        own = history.seeds_of(self.date, self.new_seeds)
        kept = history.kept_trials(history.of(self.past, self.where), self.date) if own else {}
        calls = planned([*range(self.seeds), *sorted(set(kept.values())), *own])
        whole = max(call["fraction"] for call in calls)
        return [
            call for call in calls
            if call["seed"] < self.seeds
            or (call["fraction"] == whole and (call["seed"] in own or call["name"] in kept))
        ]  # fmt: skip

    def missing(self, asked: Sequence[Call], scores: pd.DataFrame) -> list[str]:
        """Name the new trials of tonight that have no score."""
        scored = set(zip(scores["architecture"], scores["seed"], strict=True))
        own = history.seeds_of(self.date, self.new_seeds)
        new = (call for call in asked if call["seed"] in own)
        return [call["trial"] for call in new if (call["architecture"], call["seed"]) not in scored]
