"""All figures together: each follows its frames, is left out without them, and survives what a run may hold."""

import numpy as np
import pandas as pd
import pytest

from tasks.figures import registry, style
from tests.helpers import synthetic


@pytest.fixture(scope="module")
def frames():
    return synthetic.all_frames()


@pytest.fixture(scope="module")
def drawn(frames):
    return registry.draw(frames)


def test_every_figure_is_drawn_with_title_and_caption(drawn):
    assert list(drawn) == list(registry.FIGURES)
    for figure in drawn.values():
        assert figure.get_suptitle().endswith("?")
        assert len(figure.get_label()) > len(figure.get_suptitle()) + 40


@pytest.mark.parametrize("name", registry.FIGURES)
def test_nothing_is_cut_off(drawn, name):
    assert is_whole(drawn[name])


def is_whole(figure):
    """Tell whether all that is drawn lies within the figure, to a hundredth of an inch."""
    with style.style():
        for _ in range(2):  # as often as `save` has it done
            figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.01


def test_a_figure_without_its_frames_is_left_out(frames):
    assert list(registry.draw({"trials": frames["trials"]})) == ["costs"]
    assert registry.draw({}) == {}


def test_an_empty_frame_is_as_good_as_none(frames):
    without = {**frames, "pairs": frames["pairs"].head(0), "summary": frames["summary"].head(0)}
    assert set(registry.FIGURES) - set(registry.draw(without)) == {"differences"}


# What each drops: a pair takes two architectures, runs to choose among take two seeds.
@pytest.mark.parametrize(
    ("architectures", "seeds", "missing"),
    [
        (["lstm"], 1, {"differences", "disagreement", "expected_best"}),
        (["lstm"], 3, {"differences", "disagreement"}),
        (["lstm", "nb_svm"], 1, {"expected_best"}),
        (["majority"], 1, {"differences", "disagreement", "expected_best", "learning_curves", "nights"}),
        (["majority", "lstm"], 2, {"disagreement"}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_few_architectures_and_seeds_are_drawn(architectures, seeds, missing):
    made = synthetic.frames(reviews=40, seeds=seeds, epochs=3, baselines=True)
    found = registry.draw(synthetic.with_statistics(synthetic.of(made, *architectures)))
    assert set(registry.FIGURES) - set(found) == missing
    for figure in found.values():
        figure.draw_without_rendering()


@pytest.mark.filterwarnings("error")
def test_trials_that_diverged_are_survived():
    made = synthetic.frames(reviews=40, seeds=2, epochs=3, baselines=True)
    lost = {"architecture": ["lstm", "deep_lstm", "deep_lstm"], "seed": [1, 0, 1]}
    trials = pd.MultiIndex.from_frame(pd.DataFrame(lost))

    def is_lost(frame):
        return pd.MultiIndex.from_frame(frame[["architecture", "seed"]]).isin(trials)

    made["trials"].loc[is_lost(made["trials"]), ["status", "best_epoch", "latency_ms"]] = ["diverged", np.nan, np.nan]
    made["history"].loc[is_lost(made["history"]), ["loss", "accuracy", "precision", "recall"]] = np.nan
    for name in ("predictions", "scores"):
        made[name] = made[name][~is_lost(made[name])].reset_index(drop=True)
    found = registry.draw(synthetic.with_statistics(made))
    assert list(found) == list(registry.FIGURES)
    for name, figure in found.items():
        figure.draw_without_rendering()
        words = [
            text.get_text() for axes in figure.axes for text in (axes.title, axes.yaxis.label, *axes.get_yticklabels())
        ]
        assert ("Deep LSTM" in words) == (name in ("costs", "learning_curves", "nights")), name


@pytest.mark.filterwarnings("error")
def test_what_is_not_known_leaves_its_figure_out_or_is_said(frames):
    unknown = {
        name: frame.assign(**dict.fromkeys(columns, np.nan))
        for name, columns, frame in [
            ("trials", ["train_seconds", "latency_ms", "peak_memory_mb"], frames["trials"]),
            ("scores", ["value"], frames["scores"]),
            ("expected", ["seconds"], frames["expected"]),
            ("slices", ["accuracy"], frames["slices"]),
            ("reliability", ["observed"], frames["reliability"]),
            ("learning_curve", ["mean"], frames["learning_curve"]),
            ("nights", ["mean"], frames["nights"]),
            ("predictions", ["probability"], frames["predictions"]),
            ("history", ["loss", "accuracy", "precision", "recall"], frames["history"]),
        ]
    }
    found = registry.draw({**frames, **unknown})
    assert list(found) == ["differences", "costs", "learning_curves", "disagreement"]
    for figure in found.values():
        figure.draw_without_rendering()


@pytest.mark.filterwarnings("error")
def test_long_names_stay_inside():
    name = "my_bidirectional_gru_with_attention_over_the_last_four_hundred_words"
    made = synthetic.of(synthetic.frames(reviews=40, seeds=2), "simple_rnn", "lstm")
    for frame in made.values():
        frame["architecture"] = frame["architecture"].replace("simple_rnn", name)
    found = registry.draw(synthetic.with_statistics(made))
    assert list(found) == list(registry.FIGURES)
    assert [name for name, figure in found.items() if not is_whole(figure)] == []


def test_colours_are_fixed_and_apart():
    few, many = style.palette(["lstm", "my_gru"]), style.palette([*style.COLOURS, "my_gru", "other"])
    assert few["lstm"] == many["lstm"] == style.COLOURS["lstm"]
    assert len(set(many.values())) == len(many)
    assert list(many)[-5:-3] == ["my_gru", "other"]


def test_baselines_have_a_shape_of_their_own():
    shapes = {name: style.marker(name) for name in [*synthetic.TRIALS, *synthetic.BASELINES, "my_gru"]}
    assert {name for name, shape in shapes.items() if shape != "o"} == set(synthetic.BASELINES)


def test_saved_twice_is_the_same_bytes(frames, tmp_path):
    first, second = (
        style.save(registry.draw({"trials": frames["trials"]})["costs"], tmp_path / run, "costs") for run in "ab"
    )
    for ending in ("png", "svg"):
        assert first[ending].read_bytes() == second[ending].read_bytes()
