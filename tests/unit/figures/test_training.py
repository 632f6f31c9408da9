"""Training curves over epochs, and learning curves over training reviews."""

import numpy as np
import pytest

from tasks.figures import registry
from tests.helpers import synthetic


@pytest.fixture(scope="module")
def frames():
    return synthetic.make_all_frames()


def test_training_curves_show_every_seed_and_both_splits(frames):
    figure = registry.plot_figures(frames, ["learning_curves"])["learning_curves"]
    panels = np.array(figure.axes).reshape(5, 4)
    for axes in panels.flat:
        assert sum(len(line.get_xdata()) == 4 for line in axes.lines) == 3 * 2
    assert [axes.get_ylabel() for axes in panels[:, 0]] == [
        "Simple RNN", "LSTM", "Stacked LSTM", "Bidirectional LSTM", "Deep LSTM",
    ]  # fmt: skip


def test_dot_is_at_the_epoch_kept(frames):
    figure = registry.plot_figures({**frames, "trials": frames["trials"].assign(best_epoch=2)}, ["learning_curves"])
    dots = [line for line in figure["learning_curves"].axes[0].lines if line.get_marker() == "o"]
    own = frames["history"].query("architecture == 'simple_rnn' and split == 'validation' and epoch == 2")
    assert [float(dot.get_xdata()[0]) for dot in dots] == [2, 2, 2]
    assert [float(dot.get_ydata()[0]) for dot in dots] == pytest.approx(list(own["loss"]))


@pytest.fixture
def sizes(frames):
    return registry.plot_figures(frames, ["learning_curve"])["learning_curve"].axes[0]


def test_learning_curve_has_line_with_bars_per_architecture(frames, sizes):
    lines = {bars.get_label(): bars for bars in sizes.containers}
    assert list(lines) == [
        "Simple RNN", "LSTM", "Stacked LSTM", "Bidirectional LSTM", "Deep LSTM", "TF-IDF + logistic", "NB-SVM",
    ]  # fmt: skip
    own = frames["learning_curve"].query("architecture == 'lstm'")
    line, _, (bars,) = lines["LSTM"]
    assert line.get_ydata() == pytest.approx(100 * own["mean"].to_numpy())
    assert np.asarray(line.get_xdata(), float) == pytest.approx(own["train_reviews"].to_numpy(), rel=0.06)
    assert [sorted(bar[:, 1]) for bar in bars.get_segments()] == [
        pytest.approx([100 * low, 100 * high]) for low, high in zip(own["low"], own["high"], strict=True)
    ]
    assert lines["LSTM"][0].get_linestyle() == "-"
    assert lines["NB-SVM"][0].get_linestyle() == "--"


def test_ticks_are_measured_sizes(frames):
    larger = frames["learning_curve"].assign(train_reviews=lambda frame: frame["train_reviews"] * 100)
    axes = registry.plot_figures({"learning_curve": larger})["learning_curve"].axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["600", "1,800", "6,000"]


def test_points_of_one_size_are_shifted(sizes):
    firsts = [bars[0].get_xdata()[0] for bars in sizes.containers]
    assert len(set(firsts)) == len(firsts) == 7
    assert max(firsts) / min(firsts) < 1.12


def test_unknown_interval_has_no_bar(frames):
    rows = frames["learning_curve"].assign(low=np.nan, high=np.nan)
    axes = registry.plot_figures({"learning_curve": rows})["learning_curve"].axes[0]
    assert len(axes.containers) == 7
    for bars in axes.containers:
        assert np.isfinite(bars[0].get_ydata()).all()
        assert [len(segment) for segment in bars[2][0].get_segments()] == [0, 0, 0]
