"""Selection of the models that make predictions: the default is the architecture that the report recommends."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.config.recipe import Recipe
from tasks.inference.selection import ModelSelection, select_models
from tasks.storage.runs import RunRecord, _join_tables
from tests.helpers.report_inputs import make_run_info


def make_run(accuracies: dict[str, float], metric: str = "accuracy", **costs: dict[str, float]) -> RunRecord:
    """Make the record of a run with two seeds of each architecture."""
    trials = pd.DataFrame(
        [
            {"architecture": name, "seed": seed, "status": "finished"}
            | {"weights": f"{name}-seed-{seed}-{seed:016x}.safetensors"}
            | {cost: values[name] for cost, values in costs.items()}
            for name in accuracies
            for seed in (0, 1)
        ]
    )
    keys = trials[["architecture", "seed"]]
    scores = keys.assign(split="validation", metric="accuracy", value=keys["architecture"].map(accuracies))
    if metric != "accuracy":
        scores = pd.concat([scores, scores.assign(metric=metric, value=1 - scores["value"] + 0.01 * scores["seed"])])
    joined = _join_tables(trials, scores, keys.assign(temperature=1.0, threshold=0.5), metric)
    return RunRecord(make_run_info(metric=metric), Path(), Path(), Recipe(), Path(), joined)


@pytest.mark.parametrize(
    ("accuracies", "costs", "expected"),
    [
        ({"gru": 0.8, "lstm": 0.9}, {"parameters": {"gru": 1, "lstm": 2}}, "lstm"),
        ({"lstm": 0.9, "gru": 0.9}, {"parameters": {"lstm": 1, "gru": 2}, "latency_ms": {"lstm": 9, "gru": 1}}, "lstm"),
        ({"lstm": 0.9, "gru": 0.9}, {"parameters": {"lstm": 1, "gru": 1}, "latency_ms": {"lstm": 9, "gru": 1}}, "gru"),
        ({"lstm": 0.9, "gru": 0.9 + 1e-14}, {"parameters": {"lstm": 1, "gru": 2}}, "lstm"),  # equal but for rounding
        ({"lstm": 0.9, "gru": 0.9}, {}, "gru"),  # no costs are known: the first name
        ({"lstm": 0.9, "gru": 0.9}, {"parameters": {"lstm": "many", "gru": "few"}}, "gru"),  # a damaged table
    ],
)
def test_ties_are_broken_by_cost_then_by_name_as_in_the_report(accuracies, costs, expected) -> None:
    run = make_run(accuracies, **costs)
    models = select_models(run, ModelSelection(ensemble=True))
    assert [(model.architecture, model.seed) for model in models] == [(expected, 0), (expected, 1)]


@pytest.mark.parametrize(("metric", "expected"), [("accuracy", "lstm"), ("log_loss", "lstm"), ("f1", "gru")])
def test_default_is_the_best_by_the_metric_of_the_run(metric: str, expected: str) -> None:
    run = make_run({"gru": 0.8, "lstm": 0.9}, metric)  # the other metrics are 0.2 and 0.1, and higher for the seed 1
    (model,) = select_models(run, ModelSelection())
    assert model.architecture == expected
    assert model.seed == (1 if metric == "f1" else 0)
