"""Figures of confusion matrices, slices and disagreement."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tasks.config import labels
from tasks.evaluation.scores import confusion_matrices as count_confusions
from tasks.figures import registry
from tests.helpers import synthetic


@pytest.fixture(scope="module")
def frames():
    return synthetic.make_all_frames()


def test_confusion_matrix_shows_shares_and_counts(frames):
    right = frames["predictions"].assign(probability=lambda frame: frame["label"].astype(float))
    figure, shown = (
        registry.plot_figures({"confusions": count_confusions(right)})["confusion_matrices"],
        [*synthetic.TRIALS, *synthetic.BASELINES],
    )
    assert [axes.get_title() for axes in figure.axes] == [labels.label(name) for name in shown]
    assert [text.get_text() for text in figure.axes[0].texts] == ["100.0%\n30", "0.0%\n0", "0.0%\n0", "100.0%\n30"]


def test_texts_of_confusion_matrix_have_contrast(frames):
    right = frames["predictions"].assign(probability=lambda frame: frame["label"].astype(float))
    figure = registry.plot_figures({"confusions": count_confusions(right)})["confusion_matrices"]
    inks = {axes.get_title(): to_hex(axes.texts[0].get_color()) for axes in figure.axes}
    assert inks["NB-SVM"] == "#ffffff"  # on almost black
    assert inks["Simple RNN"] == inks["Stacked LSTM"] == "#222222"
    assert {to_hex(axes.texts[1].get_color()) for axes in figure.axes} == {"#222222"}


def make_slices(**changes):
    rows = [("lstm", "short", 0.80, 0.75, 0.85, 40, 0.01), ("lstm", "long", 0.90, 0.86, 0.93, 1_200, 0.2),
            ("nb_svm", "short", 0.85, 0.80, 0.90, 40, np.nan), ("nb_svm", "long", 0.91, 0.87, 0.94, 1_200, 0.04),
            ("lstm", "none", np.nan, 0.0, 1.0, 0, np.nan), ("majority", "short", 0.5, 0.4, 0.6, 40, 0.9)]  # fmt: skip
    columns = ["architecture", "slice", "accuracy", "low", "high", "reviews", "p_adjusted"]
    return pd.DataFrame(rows, columns=columns).assign(**changes)


def test_slice_is_a_row_with_one_marker_per_architecture():
    axes = registry.plot_figures({"slices": make_slices()})["accuracy_by_slice"].axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Short\n40 reviews", "Long\n1,200 reviews"]
    lines, marks = axes.lines[::2], axes.lines[1::2]
    assert [float(mark.get_xdata()[0]) for mark in marks] == pytest.approx([80, 85, 90, 91])
    assert [round(float(mark.get_ydata()[0])) for mark in marks] == [0, 0, 1, 1]
    assert len({float(mark.get_ydata()[0]) for mark in marks}) == 4
    assert [list(line.get_xdata()) for line in lines] == [
        pytest.approx(ends) for ends in ([75, 85], [80, 90], [86, 93], [87, 94])
    ]


def test_slices_are_shown_in_the_main_metric_and_its_unit():
    scores = make_slices(accuracy=[0.4, 0.3, 0.35, 0.2, np.nan, 0.7]).rename(columns={"accuracy": "score"})
    setup = pd.DataFrame({"metric": ["log_loss"]})
    figures = registry.plot_figures({"slices": make_slices(), "slice_scores": scores, "setup": setup})
    axes = figures["accuracy_by_slice"].axes[0]
    assert [float(mark.get_xdata()[0]) for mark in axes.lines[1::2]] == pytest.approx([0.4, 0.35, 0.3, 0.2])
    assert "log-loss" in axes.get_xlabel()
    assert "nats" in axes.get_xlabel()


def test_filled_marker_means_significantly_different():
    marks = registry.plot_figures({"slices": make_slices()})["accuracy_by_slice"].axes[0].lines[1::2]
    filled = [to_hex(mark.get_markerfacecolor()) != "#ffffff" for mark in marks]
    assert filled == [True, False, False, True]


def test_slices_without_reviews_have_no_figure():
    assert registry.plot_figures({"slices": make_slices(reviews=0)}) == {}


def test_markers_are_inside_their_row(frames):
    axes = registry.plot_figures(frames, ["accuracy_by_slice"])["accuracy_by_slice"].axes[0]
    heights = np.array([float(mark.get_ydata()[0]) for mark in axes.lines[1::2]])
    present = frames["slices"].query("reviews > 0 and architecture != 'majority'")
    assert len(heights) == len(present) == 7 * present["slice"].nunique()
    assert np.abs(heights - np.round(heights)).max() < 0.45


def test_disagreement_is_in_percent_with_empty_diagonal():
    table = pd.DataFrame({"architecture": ["lstm", "nb_svm", "majority"], "lstm": [0, 0.085, 0.5],
                          "nb_svm": [0.085, 0, 0.5], "majority": [0.5, 0.5, 0]})  # fmt: skip
    figure = registry.plot_figures({"disagreement": table})["disagreement"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["8.5", "8.5"]
    for ticks in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
        assert [text.get_text() for text in ticks] == ["LSTM", "NB-SVM"]
    assert "majority class" in figure.get_label()


def test_disagreement_does_not_depend_on_row_order(frames):
    turned = frames["disagreement"].iloc[::-1].iloc[:, [0, *range(8, 0, -1)]]
    first, second = (registry.plot_figures({"disagreement": table})["disagreement"].axes[0] for table in
                     (frames["disagreement"], turned))  # fmt: skip
    written = [text.get_text() for text in first.texts]
    assert written == [text.get_text() for text in second.texts]
    shares = frames["disagreement"].set_index("architecture")
    assert len(written) == 7 * 6
    assert written[:2] == [f"{100 * shares.loc['simple_rnn', other]:.1f}" for other in ("lstm", "stacked_lstm")]
