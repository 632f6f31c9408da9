"""Layout that the figures share: labels, limits, ticks and panels."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tasks.figures import layout
from tasks.figures.style import COLORS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([85.0, 85.1], (82.05, 88.05)),
        ([70.0, 90.0], (68.4, 91.6)),
        ([99.0, 100.0], (96.5, 100.0)),
        ([np.nan, 50.0], (47.0, 53.0)),
        ([np.nan], (0.0, 100.0)),
    ],
)
def test_axis_limits_have_margin_and_minimum_span(values, expected):
    assert layout.axis_limits(values) == pytest.approx(expected)


def test_majority_class_is_visible_only_alone():
    assert layout.visible_architectures(["majority", "nb_svm", "lstm"], COLORS) == ["lstm", "nb_svm"]
    assert layout.visible_architectures(["majority"], COLORS) == ["majority"]
    assert layout.visible_architectures(["lstm"], {}) == []
    assert "majority" in layout.omission_note(["majority", "lstm"], ["lstm"])
    assert layout.omission_note(["lstm"], ["lstm"]) == layout.omission_note(["majority"], ["majority"]) == ""


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [0]), (2, [-0.3, 0.3]), (3, [-0.3, 0, 0.3])])
def test_offsets_are_evenly_spaced_around_zero(count, expected):
    assert layout.centered_offsets(count, 0.3).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([20.0], ["10 s", "30 s"]),
        ([7.0, 500.0], ["10 s", "30 s", "1 min", "3 min", "10 min"]),
        ([0.05, 4_000.0], ["0.03 s", "0.3 s", "3 s", "30 s", "3 min", "30 min"]),
        ([1e9], []),
    ],
)
def test_ticks_of_logarithmic_axis_are_round_and_few(values, expected):
    axes = Figure().subplots()
    layout.set_log_axis(axes, values, layout.SECONDS_TICKS)
    axes.figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = [text for text in axes.get_xticklabels() if low <= text.get_position()[0] <= high]
    assert axes.get_xscale() == "log"
    assert (low, high) == pytest.approx((min(values) / 2, max(values) * 2))
    assert [text.get_text() for text in shown][: layout.MAX_TICKS + 1] == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.042, "0.042 s"), (0.1, "0.1 s"), (9.94, "9.9 s"), (38.4, "38 s"), (125, "2 min 05 s"),
     (3_599, "59 min 59 s"), (4_800, "1 h 20 min")],
)  # fmt: skip
def test_format_duration(seconds, words):
    assert layout.format_duration(seconds) == words


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("lstm", ["LSTM"]),
        ("tfidf_logistic", ["TF-IDF + logistic"]),
        ("own.models:attention_over_all_words", ["attention_over_all_words", "(own.models)"]),
        ("own:bidirectional_gru_with_attention", ["bidirectional_gru_with_", "attention (own)"]),
        ("x" * 50, ["X" + "x" * 23, "x" * 24, "xx"]),
    ],
)
def test_names_are_wrapped_between_words(name, lines):
    assert layout.wrap_label(name).splitlines() == lines


def test_rows_are_as_high_as_the_longest_label():
    assert layout.rows_height(["lstm", "gru"]) == pytest.approx(2 * layout.ROW_HEIGHT)
    assert layout.rows_height(["lstm", "gru"], {"gru": "1 of 5 seeds failed"}) > 2 * layout.ROW_HEIGHT
    assert layout.row_label("gru", {"gru": "1 of 5 seeds failed"}, "gru") == "★ GRU\n(1 of 5 seeds failed)"


def test_panels_grow_with_lines_of_names():
    short, long = (
        layout.create_panels([name], "Which?", "How.")[0] for name in ("lstm", "a_name_of_more_than_one_line")
    )
    assert long.get_figheight() > short.get_figheight()


def test_panels_fill_rows_and_hide_unused_axes():
    figure, panels = layout.create_panels(["a", "b", "c", "d", "e"], "Which?", "How to read.", sharex=True)
    layout.label_panels(panels, "across", "up")
    assert [axes.get_title() for axes in panels] == ["A", "B", "C", "D", "E"]
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False] * 3
    # The second to fourth are the last of their columns, for below them is nothing.
    assert [axes.get_xlabel() for axes in panels] == ["", "across", "across", "across", "across"]
    assert [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels] == [False, True, True, True, True]
    assert [axes.get_ylabel() for axes in panels] == ["up", "", "", "", "up"]
