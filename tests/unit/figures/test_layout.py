"""Names, limits, marks and words that the figures share."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tasks.figures import layout
from tasks.figures.style import COLOURS


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
def test_limits_leave_room_and_make_no_difference_of_noise(values, expected):
    assert layout.limits(values) == pytest.approx(expected)


def test_majority_is_shown_only_where_it_is_alone():
    assert layout.shown(["majority", "nb_svm", "lstm"], COLOURS) == ["lstm", "nb_svm"]
    assert layout.shown(["majority"], COLOURS) == ["majority"]
    assert layout.shown(["lstm"], {}) == []
    assert "left out" in layout.left_out(["majority", "lstm"], ["lstm"])
    assert layout.left_out(["lstm"], ["lstm"]) == layout.left_out(["majority"], ["majority"]) == ""


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [0]), (2, [-0.3, 0.3]), (3, [-0.3, 0, 0.3])])
def test_places_are_even_around_the_middle(count, expected):
    assert layout.places(count, 0.3).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([20.0], ["10 s", "30 s"]),
        ([7.0, 500.0], ["10 s", "30 s", "1 min", "3 min", "10 min"]),
        ([0.05, 4_000.0], ["0.03 s", "0.3 s", "3 s", "30 s", "3 min", "30 min"]),
        ([1e9], []),
    ],
)
def test_marks_of_a_multiplying_axis_are_round_and_few(values, expected):
    axes = Figure().subplots()
    layout.multiply(axes, values, layout.SECONDS)
    axes.figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = [text for text in axes.get_xticklabels() if low <= text.get_position()[0] <= high]
    assert axes.get_xscale() == "log"
    assert (low, high) == pytest.approx((min(values) / 2, max(values) * 2))
    assert [text.get_text() for text in shown][: layout.MOST_MARKS + 1] == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.042, "0.042 s"), (0.1, "0.1 s"), (9.94, "9.9 s"), (38.4, "38 s"), (125, "2 min 05 s"),
     (3_599, "59 min 59 s"), (4_800, "1 h 20 min")],
)  # fmt: skip
def test_durations_are_said_as_a_person_would(seconds, words):
    assert layout.spoken(seconds) == words


def test_tiles_grow_with_the_lines_of_a_name():
    short, long = (layout.tiles([name], "Which?", "How.")[0] for name in ("lstm", "a_name_of_more_than_one_line"))
    assert long.get_figheight() > short.get_figheight()


def test_tiles_fill_rows_and_hide_what_is_over():
    figure, panels = layout.tiles(["a", "b", "c", "d", "e"], "Which?", "How to read.", sharex=True)
    layout.name_tiles(panels, "across", "up")
    assert [axes.get_title() for axes in panels] == ["A", "B", "C", "D", "E"]
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False] * 3
    # The second to fourth are the last of their columns, for below them is nothing.
    assert [axes.get_xlabel() for axes in panels] == ["", "across", "across", "across", "across"]
    assert [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels] == [False, True, True, True, True]
    assert [axes.get_ylabel() for axes in panels] == ["up", "", "", "", "up"]
