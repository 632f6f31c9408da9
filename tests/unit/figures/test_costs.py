"""Figures of costs, and of accuracy against cost."""

import numpy as np
import pytest

from tasks.config import labels
from tasks.figures import registry
from tasks.figures.costs import pareto_front
from tests.helpers import synthetic


@pytest.fixture(scope="module")
def frames():
    return synthetic.make_all_frames()


def test_cost_bars_start_at_zero_and_show_trial_means(frames):
    trials = frames["trials"].assign(train_seconds=lambda frame: 7.0 * (frame["architecture"] == "lstm") + 1)
    panels = registry.plot_figures({"trials": trials})["costs"].axes
    assert [axes.get_title() for axes in panels] == [
        "Training time of one seed", "Parameters", "Latency of one review", "Peak memory",
    ]  # fmt: skip
    assert all(axes.get_xlim()[0] == 0 for axes in panels)
    assert [bar.get_width() for bar in panels[0].patches][:3] == [1, 8, 1]
    latency = trials.groupby("architecture")["latency_ms"].mean()[labels.in_display_order(trials["architecture"])]
    assert [bar.get_width() for bar in panels[2].patches] == pytest.approx(list(latency))


def test_cpu_time_has_a_panel_next_to_the_training_time_if_it_is_known(frames):
    trials = frames["trials"].assign(cpu_seconds=9.0)
    time, cpu, *others = registry.plot_figures({"trials": trials})["costs"].axes
    assert time.get_title() == "Training time of one seed"
    assert {bar.get_width() for bar in cpu.patches} == {9}
    assert len(others) == 3


def test_unknown_cost_is_marked_as_not_known(frames):
    trials = frames["trials"].copy()
    trials.loc[trials["architecture"] == "lstm", ["train_seconds", "latency_ms"]] = np.nan
    time, _, latency, memory = registry.plot_figures({"trials": trials})["costs"].axes
    for axes, count in ((time, 1), (latency, 1), (memory, 0)):
        assert sum(text.get_text() == "not known" for text in axes.texts) == count
        assert len(axes.texts) == 8


@pytest.mark.parametrize("lost", [["latency_ms"], ["latency_ms", "peak_memory_mb"]])
@pytest.mark.parametrize("how", ["missing", "unknown"])
def test_cost_unknown_for_all_trials_has_no_panel(frames, lost, how):
    trials = frames["trials"]
    trials = trials.drop(columns=lost) if how == "missing" else trials.assign(**dict.fromkeys(lost, None))
    figures = registry.plot_figures({**frames, "trials": trials}, ["costs", "quality_against_cost"])
    assert len(figures["costs"].axes) == 4 - len(lost)
    assert len(figures["quality_against_cost"].axes) == 1


def test_cost_bar_has_one_dot_per_seed(frames):
    time, parameters, *_ = registry.plot_figures({"trials": frames["trials"]})["costs"].axes
    seconds = frames["trials"].query("architecture == 'simple_rnn'")["train_seconds"]
    assert sorted(time.collections[0].get_offsets()[:, 0]) == pytest.approx(sorted(seconds))
    assert len(parameters.collections) == 0


@pytest.mark.parametrize(("place", "cost"), [(0, "train_seconds"), (1, "latency_ms")])
def test_quality_marker_is_at_mean_cost_and_mean_accuracy(frames, place, cost):
    axes = registry.plot_figures(frames, ["quality_against_cost"])["quality_against_cost"].axes[place]
    accuracy = (
        frames["scores"].query("split == 'test' and metric == 'accuracy'").groupby("architecture")["value"].mean()
    )
    costs = frames["trials"].groupby("architecture")[cost].mean()
    labelled = {c.get_label(): c.get_offsets()[0] for c in axes.collections if not c.get_label().startswith("_")}
    assert len(labelled) == 7
    assert axes.get_xscale() == "log"
    for name in set(accuracy.index) - {"majority"}:
        assert list(labelled[labels.label(name)]) == pytest.approx([costs[name], 100 * accuracy[name]])


def test_failed_seeds_do_not_stretch_the_axis_and_means_below_it_are_written(frames):
    own = (frames["scores"]["architecture"] == "lstm") & (frames["scores"]["seed"] == 1)
    scores = frames["scores"].assign(value=frames["scores"]["value"].mask(own, 0.1))
    accuracy = scores.query("split == 'test' and metric == 'accuracy'")
    mean = 100 * accuracy.query("architecture == 'lstm'")["value"].mean()
    lowest = 100 * accuracy[~accuracy["architecture"].isin(["majority"]) & (accuracy["value"] > 0.1)]["value"].min()
    is_lstm = frames["summary"]["architecture"] == "lstm"
    summary = frames["summary"].assign(failed_seeds=is_lstm.map({True: "1", False: ""}))
    given = {**frames, "scores": scores, "summary": summary}
    axes = registry.plot_figures(given, ["quality_against_cost"])["quality_against_cost"].axes[0]
    assert mean < axes.get_ylim()[0] < lowest
    assert [text.get_text() for text in axes.texts] == [f"{mean:.1f}"]


def test_zero_cost_is_not_on_logarithmic_axis(frames):
    trials = frames["trials"].copy()
    trials.loc[trials["architecture"] == "nb_svm", "latency_ms"] = 0.0
    time, latency = registry.plot_figures({**frames, "trials": trials}, ["quality_against_cost"])[
        "quality_against_cost"
    ].axes
    named = [{c.get_label() for c in axes.collections if not c.get_label().startswith("_")} for axes in (time, latency)]
    assert named[0] - named[1] == {"NB-SVM"}
    assert latency.get_xlim()[0] > 0


def test_pareto_line_connects_non_dominated_architectures(frames):
    trials = frames["trials"].assign(
        train_seconds=frames["trials"]["architecture"].map({"lstm": 10.0, "deep_lstm": 40.0})
    )
    scores = frames["scores"].assign(value=frames["scores"]["architecture"].map({"lstm": 0.8, "deep_lstm": 0.9}))
    both = {name: frame[frame["architecture"].isin(["lstm", "deep_lstm"])] for name, frame in
            (("trials", trials), ("scores", scores))}  # fmt: skip
    (line,) = registry.plot_figures(both)["quality_against_cost"].axes[0].lines
    assert line.get_xydata().tolist() == [[10, pytest.approx(80)], [40, pytest.approx(90)], [80, pytest.approx(90)]]


def test_pareto_front_keeps_non_dominated_points():
    assert pareto_front(np.array([1.0, 2, 3, 4]), np.array([5.0, 4, 7, 7])) == [0, 2]


def test_expected_best_has_one_marker_per_number_of_runs(frames):
    axes = registry.plot_figures(frames, ["expected_best"])["expected_best"].axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    expected = frames["expected"].query("architecture == 'deep_lstm'")
    assert lines["Deep LSTM"].get_xydata() == pytest.approx(
        np.column_stack([expected["train_seconds"], 100 * expected["expected"]])
    )
    assert len(lines["Deep LSTM"].get_xdata()) == 3
    assert len(lines["NB-SVM"].get_xdata()) == 1
    assert "Majority class" not in lines


def test_expected_best_without_time_is_left_out(frames):
    expected = frames["expected"].copy()
    expected.loc[expected["architecture"] == "lstm", "train_seconds"] = np.nan
    axes = registry.plot_figures({"expected": expected})["expected_best"].axes[0]
    assert {line.get_label() for line in axes.lines} == {
        "Simple RNN", "Stacked LSTM", "Bidirectional LSTM", "Deep LSTM", "TF-IDF + logistic", "NB-SVM",
    }  # fmt: skip
