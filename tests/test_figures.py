"""Figures follow their data: read from the artists, not from the pixels."""

import numpy as np
import pytest

from tasks import appearance, figures
from tests import synthetic


@pytest.fixture(scope="module")
def frames():
    return synthetic.frames(reviews=60, seeds=3, epochs=4, baselines=True)


@pytest.fixture(scope="module")
def drawn(frames):
    return figures.draw(frames)


def test_every_figure_is_drawn_with_title_and_caption(drawn):
    assert list(drawn) == list(figures.FIGURES)
    for figure in drawn.values():
        assert figure.get_suptitle().endswith("?")
        assert len(figure.get_label()) > len(figure.get_suptitle()) + 40


def test_a_figure_without_its_frames_is_left_out(frames):
    assert list(figures.draw({"cells": frames["cells"]})) == ["costs"]


def test_learning_curves_show_every_seed_and_both_splits(drawn):
    panels = np.array(drawn["learning_curves"].axes).reshape(5, 4)
    for axes in panels.flat:
        assert sum(len(line.get_xdata()) == 4 for line in axes.lines) == 3 * 2


def test_scores_have_a_dot_for_each_seed_at_its_height(frames, drawn):
    axes = drawn["scores_on_test"].axes[0]
    own = frames["scores"].query("architecture == 'lstm' and split == 'test' and metric == 'accuracy'")["value"]
    dots, mean = [c for c in axes.collections if tuple(c.get_facecolor()[0][:3]) == rgb("lstm")]
    assert sorted(dots.get_offsets()[:, 0]) == pytest.approx(sorted(100 * own))
    assert mean.get_offsets()[0, 0] == pytest.approx(100 * own.mean())
    assert any("50.0" in text.get_text() for text in axes.texts)


def rgb(name):
    from matplotlib.colors import to_rgb

    return to_rgb(appearance.COLOURS[name])


def test_intervals_are_drawn_where_they_are_known(frames):
    summary = frames["scores"].query("seed == 0").assign(low=0.7, high=0.8)
    axes = figures.draw({**frames, "summary": summary}, ["scores_on_test"])["scores_on_test"].axes[0]
    assert list(axes.lines[0].get_xdata()) == pytest.approx([70, 80])


def test_cost_bars_begin_at_zero_and_follow_the_cells(frames):
    cells = frames["cells"].assign(train_seconds=lambda frame: 7.0 * (frame["architecture"] == "lstm") + 1)
    time = figures.draw({"cells": cells})["costs"].axes[0]
    assert time.get_xlim()[0] == 0
    assert [bar.get_width() for bar in time.patches][:3] == [1, 8, 1]


def test_confusion_matrix_writes_its_counts(frames):
    right = frames["predictions"].assign(probability=lambda frame: frame["label"].astype(float))
    axes = figures.draw({**frames, "predictions": right})["confusion_matrices"].axes[0]
    assert [text.get_text() for text in axes.texts] == ["100.0%\n30", "0.0%\n0", "0.0%\n0", "100.0%\n30"]


def test_noise_does_not_fill_an_axis(frames):
    same = frames["scores"].assign(value=lambda frame: 0.85 + 0.0001 * frame["seed"])
    axes = figures.draw({**frames, "scores": same})["scores_on_test"].axes[0]
    low, high = axes.get_xlim()
    assert high - low >= figures.LEAST_SPAN - 1e-9


def test_frontier_keeps_what_nothing_beats():
    assert figures.frontier(np.array([1.0, 2, 3, 4]), np.array([5.0, 4, 7, 7])) == [0, 2]


def test_colours_are_fixed_and_apart():
    few, many = appearance.palette(["lstm", "my_gru"]), appearance.palette([*appearance.COLOURS, "my_gru", "other"])
    assert few["lstm"] == many["lstm"] == appearance.COLOURS["lstm"]
    assert len(set(many.values())) == len(many)
    assert list(many)[-5:-3] == ["my_gru", "other"]


def test_saved_twice_is_the_same_bytes(frames, tmp_path):
    first, second = (
        appearance.save(figures.draw({"cells": frames["cells"]})["costs"], tmp_path / run, "costs") for run in "ab"
    )
    for ending in ("png", "svg"):
        assert first[ending].read_bytes() == second[ending].read_bytes()
