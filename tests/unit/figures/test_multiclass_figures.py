"""Figures and tables of three to a hundred classes."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from tasks.evaluation.reliability import reliability_table
from tasks.evaluation.scores import classification_reports, confusion_matrices, score_trials
from tasks.figures.confusions import mean_matrix, order_by_similarity
from tasks.figures.registry import plot_figures
from tasks.figures.style import encode
from tasks.reporting.confusion_table import SHOWN_CONFUSIONS, confusion_table
from tasks.reporting.summary_tables import has_rare_class
from tasks.storage.probabilities import probability_table

FIGURES = ("confusion_matrices", "scores_by_class", "roc_curves", "class_roc_curves", "reliability_diagram",
           "class_reliability")  # fmt: skip


def make_tables(classes: int, reviews: int = 400) -> dict[str, pd.DataFrame]:
    """Make the tables of two networks and a baseline; each class is often confused with its neighbor."""
    labels, parts = np.arange(reviews) % classes, []
    for seed, name in ((0, "lstm"), (1, "lstm"), (0, "gru"), (0, "nb_svm")):
        for split in ("validation", "test"):
            rng = np.random.default_rng([seed, len(name)])
            scores = rng.normal(size=(reviews, classes)) + 3 * (labels[:, None] == np.arange(classes))
            scores += 2 * ((labels ^ 1)[:, None] == np.arange(classes))
            columns = {"architecture": name, "seed": seed, "split": split, "label": labels.astype(np.int8)}
            ids = [f"{split} {number}" for number in range(reviews)]
            values = probability_table(softmax(scores, axis=1).astype(np.float32))
            parts.append(pd.DataFrame(columns | {"review_id": ids} | values))
    predictions = pd.concat(parts, ignore_index=True)
    return {
        "predictions": predictions, "scores": score_trials(predictions),
        "classes": classification_reports(predictions), "confusions": confusion_matrices(predictions),
        "reliability": reliability_table(predictions),
    }  # fmt: skip


@pytest.mark.parametrize("classes", [3, 5, 6, 12, 40, 100])
def test_figures_of_any_number_of_classes_are_drawn(classes):
    names = [f"class {number} with a name" for number in range(classes)]
    figures = plot_figures(make_tables(classes), FIGURES, names)
    few = {"class_roc_curves", "class_reliability"} if classes <= 5 else set()
    assert set(figures) == {"confusion_matrices", "scores_by_class", "reliability_diagram"} | few
    for name in few | {"confusion_matrices", "scores_by_class"}:
        assert encode(figures[name], name, dpi=20)["png"]
    panels = [axes for axes in figures["confusion_matrices"].axes if axes.get_title()]
    assert len(panels) == (3 if classes <= 12 else 1)
    ticks = [text.get_text() for text in panels[0].get_xticklabels()]
    assert len(ticks) == classes
    assert (sorted(ticks) == sorted(names)) == (classes > 4)  # few names are wrapped
    size = panels[0].get_window_extent().height / classes
    assert classes <= 4 or min(text.get_fontsize() for text in panels[0].get_yticklabels()) * 100 / 72 < 1.3 * size


def test_confused_classes_are_next_to_each_other():
    tables = make_tables(40, 800)
    order = order_by_similarity(mean_matrix(tables["confusions"], "lstm", "test", 40)).tolist()
    assert sorted(order) == list(range(40))
    assert sum(abs(order.index(number) - order.index(number ^ 1)) == 1 for number in range(40)) > 30


def test_matrix_is_the_mean_over_seeds_without_the_counts_of_zero():
    rows = [("lstm", 0, "test", 0, 0, 4), ("lstm", 1, "test", 0, 2, 4), ("lstm", 1, "test", 2, 2, 2)]
    confusions = pd.DataFrame(rows, columns=["architecture", "seed", "split", "label", "predicted", "count"])
    assert mean_matrix(confusions, "lstm", "test", 3).tolist() == [[2, 0, 2], [0, 0, 0], [0, 0, 1]]


def test_most_frequent_confusions_by_hand():
    rows = [
        ("lstm", 0, "test", 0, 0, 6), ("lstm", 0, "test", 0, 1, 2), ("lstm", 1, "test", 0, 0, 8),
        ("nb_svm", 0, "test", 0, 0, 4), ("nb_svm", 0, "test", 0, 1, 4), ("lstm", 0, "test", 2, 1, 1),
        ("lstm", 1, "test", 2, 2, 1), ("nb_svm", 0, "test", 2, 2, 1), ("majority", 0, "test", 2, 0, 9),
        ("lstm", 0, "validation", 1, 0, 9),
    ]  # fmt: skip
    confusions = pd.DataFrame(rows, columns=["architecture", "seed", "split", "label", "predicted", "count"])
    table = confusion_table(confusions, ["a", "b", "c"])
    assert table.header == ["True label", "Predicted label", "LSTM", "NB-SVM"]
    assert [[str(cell) for cell in row] for row in table.rows] == [
        ["a", "b", "12.5", "50.0"],
        ["c", "b", "50.0", "0.0"],
    ]


@pytest.mark.parametrize("classes", [3, 40])
def test_confusion_table_has_a_limit(classes):
    table = confusion_table(make_tables(classes)["confusions"], [str(number) for number in range(classes)])
    assert 0 < len(table.rows) <= SHOWN_CONFUSIONS


def test_equally_frequent_classes_are_not_rare():
    assert not has_rare_class(make_tables(5))
    rare = make_tables(5)
    rare["predictions"] = rare["predictions"].query("label != 4 or review_id.str.endswith('9')")
    assert has_rare_class(rare)
