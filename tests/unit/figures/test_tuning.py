"""Figures of a search: expected validation scores against its budget, and scores by parameter."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from tasks.evaluation.metrics import METRICS
from tasks.figures import registry
from tasks.figures.tuning import MAX_BANDS
from tasks.statistics.tuning import tuning_curve
from tests.helpers import synthetic

NAMES = ["lstm", "simple_rnn", "own:net", "gru", "deep_lstm", "stacked_lstm", "bidirectional_lstm"]


def plot(tuning, name, **frames):
    return registry.plot_figures({"tuning": tuning, **frames}, [name]).get(name)


def test_lines_are_the_curves_in_both_panels():
    tuning = synthetic.make_tuning(["lstm", "simple_rnn"])
    curve = tuning_curve(tuning, METRICS["accuracy"]).query("architecture == 'lstm'")
    for axes, column in zip(plot(tuning, "tuning_curves").axes, ("configurations", "cpu_seconds"), strict=True):
        line = next(line for line in axes.lines if line.get_label() == "LSTM")
        assert line.get_xdata() == pytest.approx(curve[column])
        assert line.get_ydata() == pytest.approx(100 * curve["expected"])


def test_unknown_cpu_time_leaves_out_the_panel():
    tuning = synthetic.make_tuning(["lstm", "gru"]).assign(cpu_seconds=np.nan)
    assert len(plot(tuning, "tuning_curves").axes) == 1


@pytest.mark.parametrize(("count", "bands"), [(2, True), (MAX_BANDS + 1, False)])
def test_many_architectures_have_no_bands(count, bands):
    axes = plot(synthetic.make_tuning(NAMES[:count]), "tuning_curves").axes[0]
    assert any(isinstance(each, PolyCollection) for each in axes.collections) == bands
    assert len(axes.lines) == count


def test_every_configuration_has_a_marker_in_every_panel():
    tuning = synthetic.make_tuning(NAMES[:4])
    panels = plot(tuning, "tuned_parameters").axes
    assert len(panels) == 6
    for axes in panels:
        assert sum(len(each.get_offsets()) for each in axes.collections) == len(tuning)


def test_failing_configurations_do_not_stretch_the_axis():
    tuning = synthetic.make_tuning(["lstm"], configurations=12)
    tuning.loc[tuning["learning_rate"].idxmax(), "validation_accuracy"] = 0.01
    axes = plot(tuning, "tuned_parameters").axes[0]
    low, _ = axes.get_ylim()
    assert low > 10
    assert sum(float(point[1]) == low for each in axes.collections for point in each.get_offsets()) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["tuning_curves", "tuned_parameters"])
def test_search_without_scores_has_no_figure_and_one_configuration_has_one(name):
    tuning = synthetic.make_tuning(["lstm", "gru"])
    unknown = tuning.assign(status="diverged", validation_loss=np.nan, validation_accuracy=np.nan)
    assert plot(unknown, name) is None
    plot(tuning[tuning["configuration"] == 1], name).draw_without_rendering()


@pytest.mark.parametrize("name", ["tuning_curves", "tuned_parameters"])
def test_main_metric_is_plotted(name):
    setup = pd.DataFrame({"metric": ["log_loss"]})
    axes = plot(synthetic.make_tuning(["lstm", "gru"]), name, setup=setup).axes[0]
    assert "log-loss" in axes.get_ylabel()
    assert axes.get_ylim()[1] < 2
