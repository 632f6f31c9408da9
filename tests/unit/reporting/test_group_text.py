"""The sentence on groups of test reviews."""

import pandas as pd
import pytest

from tasks.reporting.group_text import format_groups, group_sentences


@pytest.mark.parametrize(
    ("known", "groups", "fact"),
    [(False, 900, "--group"), (True, 30, "30 groups"), (True, 1, "one group"), (True, 900, "independent")],
)
def test_sentence_states_what_is_known_of_the_groups(known, groups, fact) -> None:
    row = {"groups_known": known, "test_groups": groups, "effective_test_groups": groups, "test_reviews": 900}
    row |= {"design_effect": 2.5}
    (sentence,) = format_groups(pd.DataFrame([row]))
    assert fact in sentence
    assert ("2.50" in sentence) == (groups == 30)


def test_few_groups_are_reported_as_such() -> None:
    row = {"groups_known": True, "test_reviews": 9_000, "design_effect": 2.5}
    few, many = (
        format_groups(pd.DataFrame([row | {"test_groups": 900, "effective_test_groups": count}])) for count in (49, 50)
    )
    assert len(few) == len(many) == 1
    assert "too short" in few[0]
    assert "count as 49" in few[0]
    assert "too short" not in many[0]


def test_verdict_states_the_number_of_groups_and_the_design_effect_if_reviews_are_grouped() -> None:
    row = {"test_groups": 900, "test_reviews": 9_000, "design_effect": 2.5}
    (sentence,) = group_sentences(pd.DataFrame([row]))
    assert all(fact in sentence for fact in ("9,000", "900 groups", "2.50"))
    assert group_sentences(pd.DataFrame([row | {"test_groups": 9_000}])) == []
