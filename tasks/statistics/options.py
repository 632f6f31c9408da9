"""Options of a comparison of architectures."""

from collections.abc import Collection
from dataclasses import dataclass

from tasks.config.labels import BASELINE_NAMES
from tasks.config.metric_names import DEFAULT_METRIC


@dataclass(frozen=True)
class ComparisonOptions:
    """Options of a comparison of architectures.

    Attributes:
        metric: Main metric, or `AUTO_METRIC` (see `main_metric`). The architectures are ranked by it, and its p-values
            form a family of their own.
        metrics: Metrics to compare; None for every metric that the labels allow.
        margin: Equivalence margin. Two scores in [0, 1] that differ by less are practically equivalent.
        alpha: Family-wise error rate over all pairs, in (0, 1).
        draws: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
        deterministic: Architectures that do not depend on the seed. A single run of them has no seed variance.
        groups_known: Whether it is known which reviews belong together, other than those with the same words.
    """

    metric: str = DEFAULT_METRIC
    metrics: Collection[str] | None = None
    margin: float = 0.005
    alpha: float = 0.05
    draws: int = 10_000
    seed: int = 0
    deterministic: Collection[str] = BASELINE_NAMES
    groups_known: bool = False
