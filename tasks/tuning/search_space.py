"""The search space of the recipe, and the configurations that a search tries.

Every architecture tries the same configurations. They come from a scrambled Sobol sequence, which covers the space more
evenly than independent random points (Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization").
"""

import math
from collections.abc import Collection
from typing import Literal, NamedTuple

import scipy  # submodules load on first use

from tasks.config.errors import UserError
from tasks.config.recipe import Recipe

# Seed of all trials of a search: no other trial has it, because `--seeds` ends at 999 and the resamples at 1,100.
TUNING_SEED = 2_000
SEQUENCE_SEED = 0
MIN_VALIDATION_REVIEWS = 50  # with fewer, the validation loss says little about a configuration
SIGNIFICANT_DIGITS = 3  # of a value from a range, so that it can be typed


class SearchedParameter(NamedTuple):
    """A field of the recipe that is searched.

    Attributes:
        values: Lowest and highest value of a range, or all values of a choice.
        scale: Scale on which the values of a range are uniform, or "choice".
    """

    values: tuple[float, ...]
    scale: Literal["linear", "log", "choice"]

    def value_at(self, position: float) -> float:
        """Return the value at a position in [0, 1)."""
        if self.scale == "choice":
            return self.values[int(position * len(self.values))]
        low, high = self.values
        value = low * (high / low) ** position if self.scale == "log" else low + (high - low) * position
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


SEARCH_SPACE: dict[str, SearchedParameter] = {
    "learning_rate": SearchedParameter((0.001, 0.03), "log"),
    "dropout": SearchedParameter((0.0, 0.6), "linear"),
    "layer_dropout": SearchedParameter((0.0, 0.5), "linear"),
    "batch_size": SearchedParameter((32, 64, 128, 256), "choice"),
    "units": SearchedParameter((32, 64, 128), "choice"),
    "embedding_size": SearchedParameter((32, 64, 128), "choice"),
}


def sample_configurations(recipe: Recipe, number: int, *, fixed: Collection[str] = ()) -> list[Recipe]:
    """Return the configurations of a search.

    The first one is the shared recipe itself, so that the selected configuration is never worse than it on the
    validation reviews. The first n configurations do not depend on `number`.

    Args:
        recipe: The shared recipe; parameters that are not searched keep its values.
        number: Number of configurations, at least 1.
        fixed: Names of parameters that keep the value of the shared recipe; the others do not depend on them.
    """
    sequence = scipy.stats.qmc.Sobol(d=len(SEARCH_SPACE), scramble=True, rng=SEQUENCE_SEED)
    points = sequence.random_base2(math.ceil(math.log2(max(number - 1, 1))))
    sampled = [
        recipe.model_copy(
            update={
                name: searched.value_at(position)
                for (name, searched), position in zip(SEARCH_SPACE.items(), point, strict=True)
                if name not in fixed
            }
        )
        for point in points[: number - 1].tolist()
    ]
    return [recipe, *sampled]


def check_validation_reviews(configurations: int, reviews: int) -> None:
    """Check that there are enough validation reviews to select a configuration.

    Args:
        configurations: Number of configurations; 0 without a search.
        reviews: Number of validation reviews.

    Raises:
        UserError: If there are too few.
    """
    if configurations and reviews < MIN_VALIDATION_REVIEWS:
        raise UserError(
            f"tune: received {configurations}, but {reviews} validation reviews are too few to select a configuration. "
            f"At least {MIN_VALIDATION_REVIEWS} are needed: give more reviews, or leave `tune` out."
        )
