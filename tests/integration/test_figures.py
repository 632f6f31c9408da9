"""All figures, drawn together: required frames, few or unknown values, long names, colors and encoding."""

import itertools
from inspect import signature

import numpy as np
import pandas as pd
import pytest

from tasks.figures import registry, style
from tests.helpers import synthetic

# Figures of the frames of two classes; those of more classes are in tests/unit/figures/test_multiclass_figures.py.
OF_SEVERAL_CLASSES = {"scores_by_class", "class_roc_curves", "class_reliability"}
TUNED = {"tuning_curves", "tuned_parameters"}
BINARY = [name for name in registry.FIGURES if name not in OF_SEVERAL_CLASSES]


@pytest.fixture(scope="module")
def frames():
    return synthetic.make_all_frames()


@pytest.fixture(scope="module")
def figures(frames):
    return registry.plot_figures(frames)


def test_every_figure_has_title_and_caption(figures):
    assert list(figures) == BINARY
    for figure in figures.values():
        assert figure.get_suptitle()
        assert figure.get_label().startswith(figure.get_suptitle())
        assert len(figure.get_label()) > len(figure.get_suptitle()) + 40
    assert len({figure.get_suptitle() for figure in figures.values()}) == len(figures)


@pytest.mark.parametrize("name", BINARY)
def test_no_artist_is_outside_the_figure(figures, name):
    assert is_complete(figures[name])


def is_complete(figure):
    """Return whether all artists lie within the figure, with a tolerance of a hundredth of an inch."""
    with style.style():
        for _ in range(2):  # as often as `encode` lays the figure out
            figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.01


def test_figure_without_its_frames_is_left_out(frames):
    assert list(registry.plot_figures({"trials": frames["trials"]})) == ["costs"]
    assert registry.plot_figures({}) == {}


def test_empty_frame_counts_as_missing(frames):
    without = {**frames, "pairs": frames["pairs"].head(0), "summary": frames["summary"].head(0)}
    readers = {
        name for name, plot in registry.FIGURES.items() if {"pairs", "summary"} & set(signature(plot).parameters)
    }
    assert len(readers) > 1
    assert readers - set(registry.plot_figures(without, sorted(readers))) == {"differences"}


# A pair needs two architectures, and an expected best of several runs needs two seeds.
@pytest.mark.parametrize(
    ("architectures", "seeds", "missing"),
    [
        (["lstm"], 1, {"differences", "disagreement", "expected_best"}),
        (["lstm"], 3, {"differences", "disagreement"}),
        (["lstm", "nb_svm"], 1, {"expected_best"}),
        (["majority"], 1, {"differences", "disagreement", "expected_best", "learning_curves", "nights", *TUNED}),
        (["majority", "lstm"], 2, {"disagreement"}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_few_architectures_and_seeds_are_plotted(architectures, seeds, missing):
    frames = synthetic.make_frames(reviews=40, seeds=seeds, epochs=3, baselines=True)
    figures = registry.plot_figures(synthetic.with_statistics(synthetic.select_architectures(frames, *architectures)))
    assert set(BINARY) - set(figures) == missing
    for figure in figures.values():
        figure.draw_without_rendering()


@pytest.mark.filterwarnings("error")
def test_diverged_trials_are_plotted():
    frames = synthetic.make_frames(reviews=40, seeds=2, epochs=3, baselines=True)
    diverged = {"architecture": ["lstm", "deep_lstm", "deep_lstm"], "seed": [1, 0, 1]}
    trials = pd.MultiIndex.from_frame(pd.DataFrame(diverged))

    def is_diverged(frame):
        return pd.MultiIndex.from_frame(frame[["architecture", "seed"]]).isin(trials)

    frames["trials"].loc[is_diverged(frames["trials"]), ["status", "best_epoch", "latency_ms"]] = [
        "diverged",
        np.nan,
        np.nan,
    ]
    frames["history"].loc[is_diverged(frames["history"]), ["loss", "accuracy", "precision", "recall"]] = np.nan
    for name in ("predictions", "scores"):
        frames[name] = frames[name][~is_diverged(frames[name])].reset_index(drop=True)
    figures = registry.plot_figures(synthetic.with_statistics(frames))
    assert list(figures) == BINARY
    for name, figure in figures.items():
        figure.draw_without_rendering()
        texts = [
            text.get_text() for axes in figure.axes for text in (axes.title, axes.yaxis.label, *axes.get_yticklabels())
        ]
        named = any(text.startswith("Deep LSTM") for text in texts)
        assert named == (name in ("scores_on_test", "costs", "learning_curves", "nights")), name


@pytest.mark.filterwarnings("error")
def test_figures_without_known_values_are_left_out(frames):
    unknown = {
        name: frame.assign(**dict.fromkeys(columns, np.nan))
        for name, columns, frame in [
            ("trials", ["train_seconds", "latency_ms", "peak_memory_mb"], frames["trials"]),
            ("scores", ["value"], frames["scores"]),
            ("expected", ["train_seconds"], frames["expected"]),
            ("slices", ["accuracy"], frames["slices"]),
            ("reliability", ["observed"], frames["reliability"]),
            ("learning_curve", ["mean"], frames["learning_curve"]),
            ("nights", ["mean"], frames["nights"]),
            ("tuning", ["validation_loss"], frames["tuning"]),
            ("predictions", ["probability"], frames["predictions"]),
            ("history", ["loss", "accuracy", "precision", "recall"], frames["history"]),
        ]
    }
    figures = registry.plot_figures({**frames, **unknown, "confusions": frames["confusions"].head(0)})
    assert list(figures) == ["differences", "costs", "learning_curves", "disagreement"]
    for figure in figures.values():
        figure.draw_without_rendering()


LONG_NAMES = [
    "my_bidirectional_gru_with_attention_over_the_last_four_hundred_words", "experiments.second:Net", "other:Net",
    "a_long_package_name.with_submodule:a_long_function_name_of_an_architecture", "own:attention_lstm", "own:gru",
]  # fmt: skip


@pytest.fixture(scope="module")
def many():
    """Plot all figures of twelve architectures, most of them with long names, and the baselines."""
    frames = synthetic.make_frames(reviews=40, seeds=2, baselines=True)
    copies = {name: [frame] for name, frame in frames.items()}
    for name in ["gru", *LONG_NAMES]:
        for key, frame in synthetic.select_architectures(frames, "lstm").items():
            copies[key].append(frame.assign(architecture=name))
    merged = {name: pd.concat(parts, ignore_index=True) for name, parts in copies.items()}
    return registry.plot_figures(synthetic.with_statistics(merged))


@pytest.mark.parametrize("name", BINARY)
def test_many_long_names_are_inside_the_figure_and_do_not_overlap(many, name):
    figure = many[name]
    assert is_complete(figure)
    panels = [axes for axes in figure.axes if axes.axison]
    for axes in panels:
        assert not overlapping(visible(axes.get_yticklabels()))
        assert not overlapping(visible(axes.get_xticklabels()))
    assert not overlapping([axes.title for axes in panels])
    assert not overlapping(visible([axes.yaxis.label for axes in panels]))
    legends = [legend.get_window_extent() for legend in figure.legends]
    boxes = [axes.get_window_extent() for axes in panels]
    assert not any(legend.overlaps(box) for legend in legends for box in boxes)


def visible(texts):
    return [text for text in texts if text.get_visible() and text.get_text()]


def overlapping(texts):
    """Return the pairs of texts, neither of which is slanted, that overlap by more than a pixel."""
    boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in texts if text.get_rotation() % 90 == 0]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)]


def test_colors_are_fixed_and_distinct():
    few, many = style.palette(["lstm", "my_gru"]), style.palette([*style.COLORS, "my_gru", "other"])
    assert few["lstm"] == many["lstm"] == style.COLORS["lstm"]
    assert len(set(many.values())) == len(many)
    place = -len(style.BASELINE_COLORS)
    assert list(many)[place - 2 : place] == ["my_gru", "other"]


def test_baselines_have_another_marker():
    markers = {name: style.marker(name) for name in [*synthetic.TRIALS, *synthetic.BASELINES, "my_gru"]}
    assert {name for name, marker in markers.items() if marker != "o"} == set(synthetic.BASELINES)
    assert style.marker("cnn") not in markers.values()


def test_equal_figures_are_encoded_as_equal_bytes(frames):
    first, second = (
        style.encode(registry.plot_figures({"trials": frames["trials"]})["costs"], "costs") for _ in range(2)
    )
    assert first == second
    assert set(first) == {"png", "svg"}
