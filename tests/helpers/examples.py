"""The number of examples of expensive property tests: few by default, all of them with `-m slow` (`make soak`)."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

Test = TypeVar("Test", bound=Callable[..., object])


def is_thorough() -> bool:
    """Return whether the tests marked slow were selected."""
    return settings.get_current_profile_name() == "thorough"


def examples(fast: int, thorough: int = 100, *, one_folder: bool = False) -> Callable[[Test], Test]:
    """Give a property test few examples; with `-m slow` it has many, and is itself marked slow.

    Args:
        fast: Number of examples by default.
        thorough: Number of examples with `-m slow`.
        one_folder: Whether all examples may use the same fixtures of the function, such as `tmp_path`.
    """
    ignored = [HealthCheck.function_scoped_fixture] if one_folder else []
    chosen = settings(max_examples=thorough if is_thorough() else fast, suppress_health_check=ignored)

    def decorate(test: Test) -> Test:
        return pytest.mark.slow(chosen(test)) if is_thorough() else chosen(test)

    return decorate
