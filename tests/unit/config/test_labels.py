"""Display names of metrics."""

import numpy as np
import pytest

from tasks.config.labels import MACRO_AVERAGED, label, label_in_sentence
from tasks.evaluation.metrics import METRICS


@pytest.mark.parametrize("name", METRICS)
def test_metrics_that_are_named_macro_are_means_over_the_classes(name: str) -> None:
    rng, score = np.random.default_rng(0), METRICS[name].score
    labels, probabilities = rng.integers(0, 3, 60), rng.dirichlet([1, 1, 1], 60)
    predicted = np.eye(3)[probabilities.argmax(axis=1)]
    both = (probabilities, predicted)
    means = [np.mean([score(labels == number, each[:, number]) for number in range(3)]) for each in both]
    is_mean = any(np.isclose(score(labels, probabilities, classes=3), means))
    assert is_mean == (name in MACRO_AVERAGED)
    assert label_in_sentence(name, 3).startswith("macro ") == is_mean
    assert label(name, 3).removeprefix("Macro ") == (label_in_sentence(name) if is_mean else label(name))
    assert label(name, 2) == label(name)
