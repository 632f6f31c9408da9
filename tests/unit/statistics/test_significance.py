"""Verdicts on pairs of architectures."""

import pandas as pd
import pytest

from tasks.statistics.options import ComparisonOptions
from tasks.statistics.significance import add_verdicts


def make_rows(**changes) -> pd.DataFrame:
    """Make the rows of a pair with a clear difference in accuracy and F1, with some columns replaced."""
    row = {
        "first": "a",
        "second": "b",
        "metric": ["accuracy", "f1"],
        "difference": 0.02,
        "low": 0.01,
        "high": 0.03,
        "p": 0.001,
        "p_equivalent": 0.9,
        "seeds": 5,
        "deterministic": False,
        "first_failed": 0,
        "second_failed": 0,
    }
    columns = {**row, **changes}
    return pd.DataFrame({"p_with_diverged": columns["p"], **columns})


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [
        ({}, ["first better", "first better"]),
        ({"difference": -0.02, "low": -0.03, "high": -0.01}, ["second better", "second better"]),
        ({"seeds": 4}, ["too few seeds", "too few seeds"]),
        ({"seeds": 1, "deterministic": True}, ["first better", "first better"]),
        (
            {"p": [0.06, 0.001], "low": [-0.001, 0.01]},
            ["not separable", "not separable"],
        ),
        ({"p": [0.001, 0.06], "low": [0.01, -0.001]}, ["first better", "not separable"]),
        # The interval excludes 0 but is within the margin.
        ({"difference": 0.002, "low": 0.001, "high": 0.003, "p_equivalent": 0.001}, ["equivalent", "equivalent"]),
        # Equivalent in the main metric, so no other metric is significant.
        ({"low": [0.001, 0.01], "high": [0.003, 0.03], "p_equivalent": [0.001, 0.9]}, ["equivalent", "not separable"]),
        ({"metric": ["accuracy", "log_loss"]}, ["first better", "second better"]),
        # Significant only if the diverged seeds of the better architecture are ignored.
        ({"p_with_diverged": [0.06, 0.001]}, ["not separable", "not separable"]),
    ],
)
def test_verdict(changes, verdicts) -> None:
    found = add_verdicts(make_rows(**changes), ComparisonOptions())
    assert found["verdict"].tolist() == verdicts


def test_main_metric_and_other_metrics_are_separate_families_of_tests() -> None:
    pairs = pd.concat([make_rows(p=[0.02, 0.01]), make_rows(first="c", p=[0.03, 0.5])], ignore_index=True)
    found = add_verdicts(pairs, ComparisonOptions())
    assert found.query("metric == 'accuracy'")["p_holm"].tolist() == [0.04, 0.04]
    assert found.query("metric == 'f1'")["p_holm"].tolist() == [0.02, 0.5]
    assert (found["p_equivalent_holm"] == 1).all()
