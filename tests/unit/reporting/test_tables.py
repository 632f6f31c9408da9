"""The report's tables: numbers as the frames have them, in the units of the heads, and a word for what is not known."""

import numpy as np
import pandas as pd
import pytest

from tasks.evaluation.metrics import balanced_accuracy
from tasks.evaluation.scores import evaluate
from tasks.reporting import tables
from tests.helpers import synthetic


@pytest.fixture
def frames() -> dict[str, pd.DataFrame]:
    return synthetic.all_frames()


def test_no_trial_is_a_bare_nan(frames):
    for title, frame in tables.further_tables(frames).items():
        grid = tables.plain_table(frame)
        assert len(grid.rows) or title.startswith("Wrong"), title
        for row in grid.rows:
            assert len(row) == len(grid.head)
            assert not {str(trial).strip().lower() for trial in row} & {"nan", "none", "inf"}, (title, row)


def test_the_majority_class_is_in_no_pair(frames):
    shown = tables.pair_table(frames["pairs"], "accuracy")
    assert len(shown) == 7 * 6 / 2
    assert "majority" not in set(shown["first"]) | set(shown["second"])


def test_differences_are_in_points(frames):
    row = frames["pairs"].query("metric == 'accuracy' and first == 'simple_rnn' and second == 'lstm'").iloc[0]
    shown = tables.pair_table(frames["pairs"], "accuracy").query("first == 'simple_rnn' and second == 'lstm'").iloc[0]
    words = f"{100 * row['difference']:,.2f} [{100 * row['low']:,.2f}, {100 * row['high']:,.2f}]"
    assert str(shown["Difference [95% interval]"]) == words
    losses = frames["pairs"].query("metric == 'log_loss' and first == 'simple_rnn' and second == 'lstm'").iloc[0]
    other = tables.other_metrics(frames["pairs"]).query("first == 'simple_rnn' and second == 'lstm'").iloc[0]
    assert str(other["log_loss"]).startswith(f"{losses['difference']:,.4f} [")


def test_costs_have_their_units(frames):
    trials = frames["trials"].assign(train_flops=2.5e12)
    trials.loc[trials["architecture"] == "nb_svm", "train_flops"] = np.nan
    shown = tables.cost_table(trials).set_index("architecture").map(str)
    assert shown.loc["lstm", "Training arithmetic (TFLOP)"] == "2.50"
    assert shown.loc["nb_svm", "Training arithmetic (TFLOP)"] == "not known"
    assert shown.loc["lstm", "Parameters"] == "673,153"


def test_the_learning_curve_has_a_column_for_each_size(frames):
    curve = frames["learning_curve"].query("architecture == 'lstm'")
    shown = tables.learning_curve_table(frames["learning_curve"]).set_index("architecture").map(str)
    sizes = [f"{reviews:,} reviews" for reviews in sorted(curve["train_reviews"])]
    assert list(shown.columns) == [*sizes, "Gain of the last step (points)"]
    last = curve.iloc[-1]
    assert shown.loc["lstm", sizes[-1]].startswith(f"{100 * last['mean']:.2f} [")
    assert shown.loc["lstm", "Gain of the last step (points)"] == "4.00 [4.00, 4.00]"


def test_small_p_values_are_not_zero():
    assert str(tables.p_value(1e-9)) == "< 0.0001"
    assert str(tables.p_value(0.0421)) == "0.0421"


@pytest.mark.parametrize(
    ("made", "words", "exact", "value"),
    [
        (tables.number(0.894, 1, 100), "89.4", "89.4", 89.4),
        (tables.number(673_153.25, 0), "673,153", "673,153.25", 673_153.25),
        (tables.number(float("nan")), "not known", "not known", None),
        (tables.p_value(1e-9), "< 0.0001", "1e-09", 1e-9),
        (tables.joined("{} ± {}", tables.number(1.234), tables.number(0.5)), "1.23 ± 0.50", "1.234 ± 0.5", 1.234),
        (tables.joined("{}: {}", "{x}", tables.number(None)), "{x}: not known", "{x}: not known", None),
        (tables.with_interval(-0.0123456, -0.02, 0.001), "-1.23 [-2.00, 0.10]", "-1.23456 [-2, 0.1]", -1.23456),
    ],
)
def test_what_is_rounded_keeps_every_digit_and_what_to_sort_by(made, words, exact, value):
    assert made == tables.Rounded(words, exact, value)
    assert str(made) == f"{made}" == words


def test_every_figure_of_a_table_can_be_sorted_by(frames):
    grid = tables.summary_table(frames)
    assert all(trial.value is not None for row in grid.rows for trial in row[1:])
    accuracies = frames["scores"].query("architecture == 'lstm' and split == 'test' and metric == 'accuracy'")["value"]
    (shown,) = (row[2] for row in grid.rows if row[0] == "LSTM")
    assert shown.value == pytest.approx(100 * accuracies.mean())
    assert shown.exact.startswith(f"{100 * accuracies.mean():.15g} ± {100 * accuracies.std():.15g}\n[")


def test_a_rare_class_brings_its_own_columns(frames):
    usual = tables.summary_table(frames)
    assert not {"Test balanced accuracy (%)", "Test PR-AUC (%)"} & set(usual.head)
    rare = frames["predictions"].assign(label=frames["predictions"]["review_id"].str.endswith("7").astype("int8"))
    grid = tables.summary_table(frames | {"predictions": rare, "scores": evaluate(rare)})
    (shown,) = (dict(zip(grid.head, row, strict=True)) for row in grid.rows if row[0] == "LSTM")
    lstm = rare.query("architecture == 'lstm' and split == 'test'").groupby("seed")
    expected = np.mean([balanced_accuracy(trial["label"], trial["probability"]) for _, trial in lstm])
    assert shown["Test balanced accuracy (%)"].value == pytest.approx(100 * expected)
    assert shown["Test PR-AUC (%)"].value is not None
    assert list(grid.head[2:5]) == ["Test accuracy (%)", "Test balanced accuracy (%)", "Test PR-AUC (%)"]


def test_the_classes_have_their_own_names(frames):
    rows = tables.class_table(frames["predictions"], ("other", "complaint")).rows
    assert {row[1] for row in rows} == {"other", "complaint"}
    mistakes = pd.DataFrame({"label": [0, 1], "probability": [0.9, 0.2], "text": ["a", "b"]})
    table = tables.mistake_table(mistakes, ("other", "complaint"))
    assert table["Truly"].tolist() == ["other", "complaint"]
    assert [str(trial) for trial in table["Said to be complaint (%)"]] == ["90.0", "20.0"]
