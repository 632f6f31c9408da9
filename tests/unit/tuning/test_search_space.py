"""The configurations of a search: within the bounds, and the first ones independent of their number."""

import math

import numpy as np
import pytest

from tasks.config.errors import UserError
from tasks.config.recipe import Recipe
from tasks.tuning.search_space import (
    MIN_VALIDATION_REVIEWS,
    SEARCH_SPACE,
    SearchedParameter,
    check_validation_reviews,
    sample_configurations,
)

MANY = sample_configurations(Recipe(), 257)


@pytest.mark.parametrize("number", [1, 2, 3, 12, 64, 65])
def test_more_configurations_do_not_change_the_first_ones(number: int) -> None:
    assert sample_configurations(Recipe(), number) == MANY[:number]


def test_first_configuration_is_the_shared_recipe() -> None:
    shared = Recipe(units=7, max_tokens=30)
    first, *others = sample_configurations(shared, 5)
    assert first == shared
    assert {other.max_tokens for other in others} == {30}
    assert {other.units for other in others} <= {*SEARCH_SPACE["units"].values}


def test_fixed_parameters_keep_their_value_and_do_not_change_the_others() -> None:
    shared = Recipe(embedding_size=50)
    fixed, free = (sample_configurations(shared, 9, fixed=names) for names in (["embedding_size"], []))
    assert {each.embedding_size for each in fixed} == {50}
    assert [each.model_copy(update={"embedding_size": 50}) for each in free] == fixed


def test_searched_parameters_are_fields_of_the_recipe_with_allowed_values() -> None:
    assert set(SEARCH_SPACE) <= set(Recipe.model_fields)
    for configuration in MANY:
        assert Recipe.model_validate(configuration.model_dump()) == configuration


@pytest.mark.parametrize("name", SEARCH_SPACE)
def test_values_cover_the_space_evenly(name: str) -> None:
    searched = SEARCH_SPACE[name]
    values = np.array([getattr(configuration, name) for configuration in MANY[1:]])
    if searched.scale == "choice":
        choices, counts = np.unique(values, return_counts=True)
        assert choices.tolist() == sorted(searched.values)
        assert counts.max() - counts.min() <= 2  # of 256
        return
    low, high = searched.values
    assert low <= values.min() <= values.max() <= high
    scaled = np.log(values / low) / np.log(high / low) if searched.scale == "log" else (values - low) / (high - low)
    counts, _ = np.histogram(scaled, bins=8, range=(0, 1))
    assert counts.min() >= 30
    assert counts.max() <= 34


def test_positions_are_scaled_to_values() -> None:
    assert SearchedParameter((0.001, 0.1), "log").value_at(0.5) == pytest.approx(0.01)
    assert SearchedParameter((0.0, 0.5), "linear").value_at(0.5) == 0.25
    assert [SearchedParameter((3, 5, 9), "choice").value_at(at) for at in (0, 0.34, math.nextafter(1, 0))] == [3, 5, 9]


def test_too_few_validation_reviews_are_a_user_error() -> None:
    check_validation_reviews(0, 1)
    check_validation_reviews(2, MIN_VALIDATION_REVIEWS)
    with pytest.raises(UserError, match="tune: received 2"):
        check_validation_reviews(2, MIN_VALIDATION_REVIEWS - 1)
