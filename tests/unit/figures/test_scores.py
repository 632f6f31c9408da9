"""Figures of test scores and of differences to the best architecture."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.markers import MarkerStyle

from tasks.config import labels
from tasks.figures import layout, registry, style
from tasks.figures.verdict_labels import verdict_label
from tasks.statistics.comparison import compare
from tasks.statistics.options import ComparisonOptions
from tests.helpers import synthetic


@pytest.fixture(scope="module")
def frames():
    return synthetic.make_all_frames()


def plot_axes(name, frames):
    return registry.plot_figures(frames, [name])[name].axes[0]


@pytest.mark.parametrize("name", ["scores_on_test", "learning_curves"])
def test_means_over_more_than_two_classes_are_named_so(frames, name):
    def titles(*class_names):
        return [axes.get_title() for axes in registry.plot_figures(frames, [name], class_names)[name].axes]

    two, three = titles("a", "b"), titles("a", "b", "c")
    assert [title for title in two if "acro" in title] == []
    assert [title for title in three if "acro" in title] == [title for title in three if title not in two] != []


def test_scores_have_one_dot_per_seed(frames):
    axes = plot_axes("scores_on_test", frames)
    own = frames["scores"].query("architecture == 'lstm' and split == 'test' and metric == 'accuracy'")["value"]
    lstm = to_rgb(style.COLORS["lstm"])
    dots, mean = [c for c in axes.collections if tuple(c.get_facecolor()[0][:3]) == lstm]
    assert sorted(dots.get_offsets()[:, 0]) == pytest.approx(sorted(100 * own))
    assert mean.get_offsets()[0, 0] == pytest.approx(100 * own.mean())
    assert any("50.0" in text.get_text() for text in axes.texts)


def test_known_intervals_are_plotted(frames):
    summary = frames["scores"].query("seed == 0").assign(low=0.7, high=0.8)
    assert list(plot_axes("scores_on_test", {**frames, "summary": summary}).lines[0].get_xdata()) == pytest.approx(
        [70, 80]
    )
    without = {name: frame for name, frame in frames.items() if name != "summary"}
    assert len(plot_axes("scores_on_test", without).lines) == 0


def test_axis_of_scores_has_minimum_span(frames):
    same = frames["scores"].assign(value=lambda frame: 0.85 + 0.0001 * frame["seed"])
    low, high = plot_axes("scores_on_test", {"scores": same, "trials": frames["trials"]}).get_xlim()
    assert high - low >= layout.MIN_SPAN - 1e-9


def make_scores(values, failed="", diverged=0):
    """Make scores, trials and summary of an LSTM with a score per seed and diverged seeds, and of NB-SVM."""
    scores = pd.DataFrame(
        {"architecture": ["lstm"] * len(values) + ["nb_svm"], "seed": [*range(len(values)), 0], "split": "test",
         "metric": "accuracy", "value": [*values, 0.91]}
    )  # fmt: skip
    lost = range(len(values), len(values) + diverged)
    trials = pd.concat([
        scores[["architecture", "seed"]].assign(status="finished"),
        pd.DataFrame({"architecture": "lstm", "seed": lost, "status": "diverged"}),
    ]).assign(parameters=1)  # fmt: skip
    summary = pd.DataFrame(
        {"architecture": ["lstm", "nb_svm"], "split": "test", "metric": "accuracy", "low": [0.6, 0.9],
         "high": [0.95, 0.92], "failed_seeds": [failed, ""]}
    )  # fmt: skip
    return {"scores": scores, "trials": trials, "summary": summary}


def markers_of(axes, shape):
    """Return the values that are marked by a shape."""
    vertices = MarkerStyle(shape).get_path().transformed(MarkerStyle(shape).get_transform()).vertices
    marked = [c for c in axes.collections if np.array_equal(c.get_paths()[0].vertices, vertices)]
    return [float(value) for c in marked for value in c.get_offsets()[:, 0]]


def test_failed_seed_is_a_cross_and_is_counted_beside_the_name():
    axes = plot_axes("scores_on_test", make_scores([0.88, 0.87, 0.86, 0.865], failed="3"))
    assert markers_of(axes, "X") == pytest.approx([86.5])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["LSTM\n(1 of 4 seeds failed)", "NB-SVM"]
    clean = registry.plot_figures(make_scores([0.88, 0.87, 0.86, 0.865]), ["scores_on_test"])["scores_on_test"]
    assert markers_of(clean.axes[0], "X") == []
    assert "failed" not in clean.get_label()


def test_failed_seeds_do_not_hide_the_differences_between_the_others():
    axes = plot_axes("scores_on_test", make_scores([0.88, 0.501, 0.86, 0.499], failed="1, 3"))
    low, high = axes.get_xlim()
    assert 84 < low < 86
    assert 91 < high < 93
    assert texts_of(axes) == ["◂ mean 68.5, 49.9 ✖, 50.1 ✖"]


def test_markers_at_the_edge_of_the_axis_are_complete():
    axes = plot_axes("scores_on_test", make_scores([1.0, 0.99, 0.98]))
    assert axes.get_xlim()[1] == 100
    assert not any(markers.get_clip_on() for markers in axes.collections)


def test_diverged_seeds_are_counted_and_an_architecture_without_scores_has_a_row():
    axes = plot_axes("scores_on_test", make_scores([0.88, 0.87], diverged=3))
    assert axes.get_yticklabels()[0].get_text() == "LSTM\n(3 of 5 seeds failed)"
    axes = plot_axes("scores_on_test", make_scores([], diverged=2))
    assert axes.get_yticklabels()[0].get_text() == "LSTM\n(2 of 2 seeds failed)"
    assert texts_of(axes) == ["no score"]


def make_comparison(rows, best="lstm"):
    """Make groups and pairs of the best with others: (name, difference, low, high, verdict of the pair)."""
    pairs = pd.DataFrame(rows, columns=["first", "difference", "low", "high", "verdict"])
    pairs = pairs.assign(second=best, metric="accuracy")
    groups = pd.DataFrame({"architecture": [best, *pairs["first"]], "best": [True] + [False] * len(pairs)})
    # Rows of another metric must not be part of the figure.
    pairs = pd.concat([pairs.assign(metric="log_loss", difference=9.0), pairs], ignore_index=True)
    return {"pairs": pairs, "groups": groups}


ROWS = [
    ("simple_rnn", -0.031, -0.042, -0.020, "second better"),
    ("majority", -0.37, -0.38, -0.36, "second better"),
    ("nb_svm", 0.026, 0.014, 0.038, "first better"),
]


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def test_differences_are_in_points_with_interval_and_verdict():
    axes = plot_axes("differences", make_comparison(ROWS))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Simple RNN", "★ LSTM", "NB-SVM"]
    bars = [list(line.get_xdata()) for line in axes.lines if list(line.get_ydata()) in ([0, 0], [2, 2])]
    assert bars == [pytest.approx([-4.2, -2.0]), pytest.approx([1.4, 3.8])]
    assert [c.get_offsets()[0, 0] for c in axes.collections] == pytest.approx([-3.1, 0, 2.6])
    assert texts_of(axes)[:6] == [
        "−3.10",
        "significantly worse",
        "",
        verdict_label("best"),
        "+2.60",
        "significantly better",
    ]


def test_caption_mentions_omitted_majority_class():
    assert "majority class" in registry.plot_figures(make_comparison(ROWS))["differences"].get_label()
    assert "majority class" not in registry.plot_figures(make_comparison(ROWS[:1]))["differences"].get_label()
    as_best = registry.plot_figures(make_comparison(ROWS[:1], best="majority"))["differences"]
    assert [text.get_text() for text in as_best.axes[0].get_yticklabels()] == ["Simple RNN", "★ Majority class"]
    assert "majority class is" not in as_best.get_label()


@pytest.mark.parametrize(
    ("interval", "arrows"),
    [((-0.3, 0.3), ["<", ">"]), ((-0.3, 0.01), ["<"]), ((-0.02, 0.3), [">"]), ((-0.02, 0.02), [])],
)  # fmt: skip
def test_interval_beyond_axis_is_marked_at_its_edge(interval, arrows):
    axes = plot_axes("differences", make_comparison([("deep_lstm", -0.01, *interval, "not separable")]))
    low, high = axes.get_xlim()
    assert -10 <= low < -1.5 < 1.5 < high <= 10
    assert [line.get_marker() for line in axes.lines if line.get_marker() in ("<", ">")] == arrows


def test_difference_beyond_axis_is_written_but_not_plotted():
    axes = plot_axes("differences", make_comparison([("simple_rnn", -0.37, -0.38, -0.36, "second better")]))
    assert axes.get_xlim()[0] == -10
    assert [c.get_offsets()[0, 0] for c in axes.collections] == [0]
    assert "−37.00" in texts_of(axes)


def test_band_is_as_wide_as_the_equivalence_margin():
    given = make_comparison(ROWS)
    for more, half in (({}, 0.5), ({"setup": pd.DataFrame({"metric": ["accuracy"], "margin": [0.02]})}, 2.0)):
        axes = plot_axes("differences", {**given, **more})
        assert axes.patches[0].get_x() == pytest.approx(-half)
        assert axes.patches[0].get_width() == pytest.approx(2 * half)


def with_variances(given, **columns):
    return {**given, "pairs": given["pairs"].assign(**columns)}


def test_known_sources_of_variance_are_bars_in_points():
    given = with_variances(make_comparison(ROWS), seed_variance=0.003**2, item_variance=0.004**2)
    figure = registry.plot_figures(given)["differences"]
    assert len(registry.plot_figures(make_comparison(ROWS))["differences"].axes) == 1
    bars = {bars.get_label(): [bar.get_width() for bar in bars] for bars in figure.axes[1].containers}
    assert bars == {"Seed": pytest.approx([0.3, 0.3]), "Sample of test reviews": pytest.approx([0.4, 0.4])}
    training = given["pairs"].assign(training_variance=0.006**2)
    given = {**given, "training_pairs": training}
    bars = {bars.get_label(): bars for bars in registry.plot_figures(given)["differences"].axes[1].containers}
    assert [bar.get_width() for bar in bars["Sample of training reviews"]] == pytest.approx([0.6, 0.6])
    edges = sorted((bar.get_y(), bar.get_y() + bar.get_height()) for bars in bars.values() for bar in bars)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(edges))


def with_training(given, low, high):
    """Add intervals for other training reviews."""
    return {**given, "training_pairs": given["pairs"].assign(low=low, high=high, training_variance=0.006**2)}


def lines_in_row(axes, row):
    return {line.get_linewidth(): list(line.get_xdata()) for line in axes.lines if list(line.get_ydata()) == [row, row]}


def test_interval_for_other_training_reviews_is_a_thin_line_around_the_bar():
    given = with_variances(make_comparison(ROWS), seed_variance=0.003**2, item_variance=0.004**2)
    given = with_training(given, low=[-0.06, -0.4, np.nan] * 2, high=[0.004, -0.3, np.nan] * 2)
    figure = registry.plot_figures(given, ["differences"])["differences"]
    axes = figure.axes[0]
    assert lines_in_row(axes, 0) == {6: pytest.approx([-4.2, -2.0]), 1.1: pytest.approx([-6.0, 0.4])}
    assert lines_in_row(axes, 2) == {6: pytest.approx([1.4, 3.8])}  # too few resamples
    assert axes.get_xlim()[0] < -6
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == len(set(texts)) == 6  # band, three sources of variance, two intervals
    assert "resamples" in figure.get_label()


def test_without_resamples_there_is_no_interval_for_other_training_reviews():
    given = with_variances(make_comparison(ROWS), seed_variance=0.003**2, item_variance=0.004**2)
    for frames in (given, with_training(given, low=np.nan, high=np.nan)):
        figure = registry.plot_figures(frames, ["differences"])["differences"]
        assert set(lines_in_row(figure.axes[0], 0)) == {6}
        assert "resamples" not in figure.get_label()


def test_interval_for_other_training_reviews_beyond_the_axis_is_marked_at_its_edge():
    given = with_training(make_comparison([("deep_lstm", -0.01, -0.02, 0.0, "not separable")]), low=-0.3, high=0.05)
    axes = plot_axes("differences", given)
    assert axes.get_xlim()[0] == -10
    assert [line.get_marker() for line in axes.lines if line.get_marker() in ("<", ">")] == ["<"]


def test_unknown_seed_variance_is_stated():
    given = with_variances(make_comparison(ROWS), seed_variance=[np.nan, np.nan, 0.0] * 2, item_variance=0.004**2)
    axes = registry.plot_figures(given)["differences"].axes[1]
    assert texts_of(axes) == ["not known"]


def test_large_deviation_is_written_at_the_edge_and_failed_seeds_are_counted():
    given = with_variances(make_comparison(ROWS[:1]), seed_variance=0.17**2, first_failed=2, second_failed=0)
    main, sources = registry.plot_figures(given)["differences"].axes
    assert sources.get_xlim() == (0, 5)
    assert texts_of(sources) == ["▸ 17.0"]
    assert [text.get_text() for text in main.get_yticklabels()] == ["Simple RNN\n(2 seeds failed)", "★ LSTM"]


def test_difference_of_unknown_interval_is_a_dot():
    axes = plot_axes("differences", make_comparison([("deep_lstm", -0.01, np.nan, np.nan, "too few seeds")]))
    assert [c.get_offsets()[0, 0] for c in axes.collections] == pytest.approx([0, -1])


def test_differences_match_frame_groups(frames):
    axes = plot_axes("differences", frames)
    groups = frames["groups"].set_index("architecture")
    rows = [name for name in labels.in_display_order(groups.index) if name != "majority"]
    assert len(rows) == 7
    numbers = [f"{100 * groups.loc[name, 'difference']:+.2f}".replace("-", "−") for name in rows]
    assert texts_of(axes)[: 2 * len(rows) : 2] == ["" if number == "+0.00" else number for number in numbers]
    assert [line.get_ydata()[0] for line in axes.lines if line.get_linewidth() == 6] == list(range(7))
    verdicts = [verdict_label(verdict) for verdict in groups.loc[rows, "verdict"]]
    assert texts_of(axes)[1 : 2 * len(rows) : 2] == verdicts


@pytest.fixture(scope="module")
def loss_frames(frames):
    options = ComparisonOptions(metric="log_loss", draws=20)
    compared = compare(frames["predictions"], frames["trials"], options)
    loss = frames["scores"].query("split == 'test' and metric == 'log_loss'").groupby("architecture")["value"].mean()
    curve = frames["learning_curve"].assign(**dict.fromkeys(("mean", "low", "high"), 0.4))
    nights = frames["nights"].assign(mean=0.35, low=0.34, high=0.36, new_mean=0.35)
    return {**frames, **compared, "learning_curve": curve, "nights": nights}, loss


MAIN_METRIC_FIGURES = (
    "scores_on_test", "differences", "quality_against_cost", "expected_best", "learning_curve", "nights"
)  # fmt: skip


@pytest.mark.parametrize("name", MAIN_METRIC_FIGURES)
def test_figures_show_the_main_metric_in_its_unit(loss_frames, name):
    frames, _ = loss_frames
    figure = registry.plot_figures(frames, [name])[name]
    label = " ".join(each for axes in figure.axes[:1] for each in (axes.get_xlabel(), axes.get_ylabel()))
    assert "log-loss (nats)" in label
    assert "%" not in label
    low, high = figure.axes[0].get_xlim() if name in MAIN_METRIC_FIGURES[:2] else figure.axes[0].get_ylim()
    assert -0.2 < low < high < 2


def test_differences_in_log_loss_are_those_of_the_pairs(loss_frames):
    frames, loss = loss_frames
    axes = registry.plot_figures(frames, ["differences"])["differences"].axes[0]
    best = frames["groups"].loc[frames["groups"]["best"], "architecture"].item()
    texts = [text.get_text() for text in axes.texts]
    for name in loss.index.drop([best, "majority"], errors="ignore"):
        assert f"{loss[name] - loss[best]:+.4f}".replace("-", "−") in texts
    assert not axes.patches or not any("Equivalence" in str(patch.get_label()) for patch in axes.patches)


def test_worst_log_loss_is_written_at_the_right_edge(loss_frames):
    frames, loss = loss_frames
    axes = registry.plot_figures(frames, ["scores_on_test"])["scores_on_test"].axes[0]
    assert loss["majority"] > axes.get_xlim()[1]
    (text,) = [text for text in axes.texts if "▸" in text.get_text()]
    assert f"{loss['majority']:.3f}" in text.get_text()
    assert text.xy[0] == axes.get_xlim()[1]
