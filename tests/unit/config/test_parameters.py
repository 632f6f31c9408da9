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
    assert "simple_rnn, cnn, gru, lstm, lstm_attention" in lines[0]
    assert all(name in str(mistake.value) for name in ("seeds", "max_tokens"))


@pytest.mark.parametrize(
    "wrong", [{"architectures": []}, {"architectures": ["lstm", "lstm"]}, {"dropout": 1}, {"x": 1}]
)
def test_invalid_parameter_is_named(wrong: dict) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Parameters.from_user(**wrong)


@pytest.mark.parametrize(
    ("given", "kept", "character"),
    [
        (";", ";", ";"),
        ("\t", "tab", "\t"),
        ("\\t", "tab", "\t"),
        ("tab", "tab", "\t"),
        (None, None, None),
        ("·", "·", "·"),
    ],
)
def test_separator_is_a_character_or_a_name(given: str | None, kept: str | None, character: str | None) -> None:
    parameters = Parameters.from_user(separator=given)
    assert (parameters.separator, parameters.delimiter) == (kept, character)


@pytest.mark.parametrize(
    "wrong",
    [{"separator": ";;"}, {"separator": '"'}, {"separator": "\n"}, {"separator": ""}]
    + [{"encoding": name} for name in ("no", "", "base64", "rot13", "idna", "unicode_escape", "a\0b")],
)
def test_separator_or_encoding_that_cannot_be_is_named(wrong: dict) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))) as mistake:
        Parameters.from_user(**wrong)
    assert len(str(mistake.value).splitlines()) == 1


@pytest.mark.parametrize("given", ["4,5", [4, 5], ["4", "5"], ("4", 5)])
def test_positive_labels_are_a_list_or_a_text(given: object) -> None:
    assert Parameters.from_user(positive=given).positive == "4,5"
    assert Parameters.from_user(positive=5).positive == "5"


def test_recipe_excludes_options_of_a_run() -> None:
    asked = Parameters(seeds=7, workers=5, units=9)
    assert asked.recipe() == Recipe(units=9)
    assert "seeds" not in asked.recipe().model_dump()
