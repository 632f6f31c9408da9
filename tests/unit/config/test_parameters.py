"""Parameters: what is allowed, and one message for all that is not."""

import pytest

from tasks.config.errors import UserError
from tasks.config.parameters import Parameters
from tasks.config.recipe import Recipe


def test_all_invalid_parameters_are_in_one_message() -> None:
    with pytest.raises(UserError) as mistake:
        Parameters.from_user(architectures=["gru2"], seeds=0, data="bundled", max_tokens=0)
    lines = str(mistake.value).splitlines()
    assert len(lines) == 3
    assert "'gru2'" in lines[0]
    assert "simple_rnn, gru, lstm, stacked_lstm" in lines[0]
    assert all(name in str(mistake.value) for name in ("seeds", "max_tokens"))


@pytest.mark.parametrize(
    "wrong", [{"architectures": []}, {"architectures": ["lstm", "lstm"]}, {"dropout": 1}, {"x": 1}]
)
def test_invalid_parameter_is_named(wrong: dict) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Parameters.from_user(**wrong)


def test_recipe_excludes_options_of_a_run() -> None:
    asked = Parameters(seeds=7, workers=5, units=9)
    assert asked.recipe() == Recipe(units=9)
    assert "seeds" not in asked.recipe().model_dump()
