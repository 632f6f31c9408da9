"""What is known about a metric: how it is computed, its direction, range and unit."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.config.labels import label, label_in_sentence

Floats = NDArray[np.float64]


class Score(Protocol):
    """Computes a score from labels (reviews,) and the probabilities of one trial."""

    def __call__(self, labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
        """Return the score."""
        ...


class Contributions(Protocol):
    """Computes (..., reviews) contributions from labels (reviews,) and the probabilities of any number of trials."""

    def __call__(self, labels: np.ndarray, probabilities: Floats, *, classes: int = 2) -> Floats:
        """Return the contributions, whose mean over the reviews is the score."""
        ...


@dataclass(frozen=True)
class Unit:
    """Unit in which scores and differences are shown.

    Attributes:
        factor: Factor from a score to the number that is shown.
        digits: Number of decimals.
        sign: What follows a score.
        difference: Unit of a difference.
        long_difference: The same without abbreviation.
    """

    factor: float
    digits: int
    sign: str
    difference: str
    long_difference: str

    @property
    def symbol(self) -> str:
        """Return the unit of a score."""
        return self.sign or self.difference


PERCENT = Unit(100, 2, "%", "points", "percentage points")
NATS = Unit(1, 4, "", "nats", "nats")


@dataclass(frozen=True)
class Metric:
    """A metric, registered in `METRICS`. Its lowest score is 0.

    Attributes:
        name: Name in tables and options.
        score: Computes the score.
        contributions: Computes the contribution of each review; None for metrics that are reported but not compared.
        greater_is_better: Whether a higher score is better.
        highest: Highest possible score.
        unit: Unit in which it is shown.
        needs_both_classes: Whether the metric is undefined if all labels are equal.
        is_fixed_if_constant: Whether all constant predictions have the same score, whatever the reviews are.
        has_margin: Whether two scores that differ by less than a margin are practically equivalent on any data set.
        is_for_imbalance: Whether reports show it only for imbalanced reviews, unless it is the main metric.
        is_monitored: Whether nightly runs check it, even if it is not their main metric.
        min_deterioration: Smallest deterioration between nightly runs that raises an alarm.
    """

    name: str
    score: Score
    contributions: Contributions | None = None
    greater_is_better: bool = True
    highest: float = 1.0
    unit: Unit = PERCENT
    needs_both_classes: bool = False
    is_fixed_if_constant: bool = False
    has_margin: bool = True
    is_for_imbalance: bool = False
    is_monitored: bool = False
    min_deterioration: float = 0.005

    @property
    def label(self) -> str:
        """Return the display name."""
        return label(self.name)

    @property
    def text(self) -> str:
        """Return the display name within a sentence."""
        return label_in_sentence(self.name)

    @property
    def direction(self) -> str:
        """Return a sentence, with a space before it, if a lower score is better; otherwise nothing."""
        return "" if self.greater_is_better else f" Lower {self.text} is better."

    def header(self, split: str, classes: int = 2) -> str:
        """Return the title of a column or axis with scores of a split, such as `Test accuracy (%)`."""
        return f"{split} {label_in_sentence(self.name, classes)} ({self.unit.symbol})"

    @property
    def is_bounded(self) -> bool:
        """Return whether scores are in [0, 1]."""
        return bool(np.isfinite(self.highest))

    @property
    def best(self) -> str:
        """Return the word for the best score: highest or lowest."""
        return "highest" if self.greater_is_better else "lowest"

    @property
    def worst(self) -> str:
        """Return the word for the worst score: lowest or highest."""
        return "lowest" if self.greater_is_better else "highest"

    def is_defined(self, labels: np.ndarray) -> bool:
        """Return whether the metric is defined for labels."""
        return not self.needs_both_classes or len(np.unique(labels)) > 1
