"""The sentence on groups of test reviews."""

import pandas as pd
import pytest

from tasks.reporting.group_text import format_groups


@pytest.mark.parametrize(
    ("known", "groups", "fact"),
    [(False, 900, "--group"), (True, 30, "30 groups"), (True, 1, "one group"), (True, 900, "independent")],
)
def test_sentence_states_what_is_known_of_the_groups(known, groups, fact) -> None:
    row = {"groups_known": known, "test_groups": groups, "test_reviews": 900, "design_effect": 2.5}
    (sentence,) = format_groups(pd.DataFrame([row]))
    assert fact in sentence
    assert ("2.50" in sentence) == (groups == 30)


def test_few_groups_are_reported_as_such() -> None:
    row = {"groups_known": True, "test_reviews": 9_000, "design_effect": 2.5}
    few, many = (format_groups(pd.DataFrame([row | {"test_groups": count}])) for count in (49, 50))
    assert len(few) == len(many) == 1
    assert "too short" in few[0]
    assert "too short" not in many[0]
