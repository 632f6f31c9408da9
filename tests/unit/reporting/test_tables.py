"""Tables of the report: values match the frames, in the units of the headers, and missing values are marked."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.evaluation.metrics import METRICS, balanced_accuracy
from tasks.evaluation.scores import score_trials
from tasks.figures.verdict_labels import verdict_label
from tasks.reporting.comparison_tables import error_table, other_metrics_table, pair_table, unscaled_note
from tasks.reporting.formatting import (
    FormattedNumber,
    combine,
    format_interval,
    format_number,
    format_p_value,
    text_table,
)
from tasks.reporting.sections import report_sections
from tasks.reporting.summary_tables import class_table, cost_table, learning_curve_table, summary_table
from tasks.reporting.tabular import to_plain_value
from tasks.reporting.verdict_format import format_difference, format_limits
from tests.helpers import synthetic


@pytest.fixture
def frames() -> dict[str, pd.DataFrame]:
    return synthetic.make_all_frames()


def test_no_cell_is_nan(frames):
    for section in report_sections(frames):
        assert len(section.table.rows) or "misclassifies" in section.title, section.title
        for row in section.table.rows:
            assert len(row) == len(section.table.header)
            assert not {str(cell).strip().lower() for cell in row} & {"nan", "none", "inf"}, (section.title, row)


def test_calibration_section_says_why_probabilities_are_not_scaled(frames):
    calibration = frames["calibration"].assign(note="")
    calibration.loc[(calibration["architecture"] == "lstm") & (calibration["seed"] > 0), "note"] = "too few"
    calibration.loc[calibration["architecture"] == "majority", "note"] = "all equal"
    sentence = unscaled_note(calibration)
    assert "LSTM (2 of 3 seeds) (too few)" in sentence
    assert "Majority class (all equal)" in sentence
    assert unscaled_note(calibration.assign(note="")) == ""
    notes = [section.note for section in report_sections({**frames, "calibration": calibration})]
    assert sum(sentence in note for note in notes) == 1


def test_majority_class_is_in_no_pair(frames):
    table = pair_table(frames["pairs"], "accuracy")
    assert len(table) == 7 * 6 / 2
    assert "majority" not in set(table["first"]) | set(table["second"])


def test_differences_are_in_points(frames):
    query = "first == 'simple_rnn' and second == 'lstm'"
    pair = frames["pairs"].query(f"metric == 'accuracy' and {query}").iloc[0]
    row = pair_table(frames["pairs"], "accuracy").query(query).iloc[0]
    text = f"{100 * pair['difference']:,.2f}\n[{100 * pair['low']:,.2f}, {100 * pair['high']:,.2f}]"
    assert str(row["Difference [95% interval]"]) == text
    assert row["Result"] == verdict_label(pair["verdict"])
    loss = frames["pairs"].query(f"metric == 'log_loss' and {query}").iloc[0]
    cell = other_metrics_table(frames["pairs"], ["f1", "log_loss"]).query(query).iloc[0]["log_loss"]
    assert str(cell).startswith(f"{loss['difference']:,.4f} [")


def test_costs_have_their_units(frames):
    trials = frames["trials"].assign(train_flops=2.5e12, cpu_seconds=12.34)
    trials.loc[trials["architecture"] == "nb_svm", "train_flops"] = np.nan
    table = cost_table(trials).set_index("architecture").map(str)
    assert table.loc["lstm", "Training (TFLOP)"] == "2.50"
    assert table.loc["nb_svm", "Training (TFLOP)"] == "not known"
    assert table.loc["lstm", "Parameters"] == "673,153"
    assert table.loc["lstm", "CPU time (s)"] == "12.3"
    assert set(cost_table(frames["trials"])["CPU time (s)"].map(str)) == {"not known"}


def test_latency_is_shown_with_its_quartiles_where_they_are_known(frames):
    trials = frames["trials"].assign(latency_ms=2.0, latency_q1_ms=1.5, latency_q3_ms=3.0)
    trials.loc[trials["architecture"] == "lstm", ["latency_q1_ms", "latency_q3_ms"]] = np.nan
    cells = cost_table(trials).set_index("architecture")["Latency, one review (ms)"].map(str)
    assert (cells["lstm"], cells["simple_rnn"]) == ("2.00", "2.00 [1.50, 3.00]")


def test_learning_curve_has_one_column_per_size(frames):
    curve = frames["learning_curve"].query("architecture == 'lstm'")
    table = learning_curve_table(frames["learning_curve"], METRICS["accuracy"]).set_index("architecture").map(str)
    sizes = [f"{reviews:,} reviews" for reviews in sorted(curve["train_reviews"])]
    assert list(table.columns[:-1]) == sizes
    assert table.loc["lstm", sizes[-1]].startswith(f"{100 * curve.iloc[-1]['mean']:.2f}\n[")
    assert table.loc["lstm"].iloc[-1] == "4.00\n[4.00, 4.00]"


def test_small_p_value_is_not_zero():
    assert str(format_p_value(1e-9)) == "< 0.0001"
    assert str(format_p_value(0.0421)) == "0.0421"


@pytest.mark.parametrize(
    ("formatted", "text", "exact", "value"),
    [
        (format_number(0.894, 1, 100), "89.4", "89.4", 89.4),
        (format_number(673_153.25, 0), "673,153", "673,153.25", 673_153.25),
        (format_number(float("nan")), "not known", "not known", None),
        (format_p_value(1e-9), "< 0.0001", "1e-09", 1e-9),
        (combine("{} ± {}", format_number(1.234), format_number(0.5)), "1.23 ± 0.50", "1.234 ± 0.5", 1.234),
        (combine("{}: {}", "{x}", format_number(None)), "{x}: not known", "{x}: not known", None),
        (format_interval(-0.0123456, -0.02, 0.001), "-1.23 [-2.00, 0.10]", "-1.23456 [-2, 0.1]", -1.23456),
    ],
)
def test_formatted_number_keeps_all_digits_and_sort_value(formatted, text, exact, value):
    assert formatted == FormattedNumber(text, exact, value)
    assert str(formatted) == f"{formatted}" == text


@given(st.floats(-1e-5, 1e-5), st.floats(-1e-5, 1e-5), st.sampled_from(["accuracy", "log_loss"]))
@example(-0.0, -0.0, "accuracy")
def test_number_rounded_to_zero_has_no_minus_sign(value, limit, metric):
    texts = [
        format_number(value).text,
        format_number(value, 4).text,
        format_interval(value, -abs(limit), abs(limit)).text,
        format_difference(value, metric),
        format_limits(-abs(limit), abs(limit), metric),
        f"{to_plain_value(value, 4)}",
    ]
    assert [text for text in texts if re.search(r"-0\.0*(?!\d)", text)] == []
    assert format_number(-0.0).exact == "0"


def test_column_that_is_not_an_identifier_is_its_own_label():
    assert text_table(pd.DataFrame({"p (Holm)": [0.5], "log_loss": [0.1]})).header == ["p (Holm)", "Log-loss"]


def test_every_number_of_the_summary_has_a_sort_value(frames):
    table = summary_table(frames)
    assert all(cell.value is not None for row in table.rows for cell in row[1:])
    accuracies = frames["scores"].query("architecture == 'lstm' and split == 'test' and metric == 'accuracy'")["value"]
    (cell,) = (row[2] for row in table.rows if row[0] == "LSTM")
    assert cell.value == pytest.approx(100 * accuracies.mean())
    assert cell.exact.startswith(f"{100 * accuracies.mean():.15g} ± {100 * accuracies.std():.15g}\n[")


def test_imbalanced_classes_add_columns(frames):
    balanced = summary_table(frames)
    assert not {"Test balanced accuracy (%)", "Test PR-AUC (%)"} & set(balanced.header)
    rare = frames["predictions"].assign(label=frames["predictions"]["review_id"].str.endswith("7").astype("int8"))
    table = summary_table(frames | {"predictions": rare, "scores": score_trials(rare)})
    (row,) = (dict(zip(table.header, row, strict=True)) for row in table.rows if row[0] == "LSTM")
    lstm = rare.query("architecture == 'lstm' and split == 'test'").groupby("seed")
    expected = np.mean([balanced_accuracy(trial["label"], trial["probability"]) for _, trial in lstm])
    assert row["Test balanced accuracy (%)"].value == pytest.approx(100 * expected)
    assert row["Test PR-AUC (%)"].value is not None
    assert list(table.header[2:5]) == ["Test accuracy (%)", "Test balanced accuracy (%)", "Test PR-AUC (%)"]


def test_means_over_more_than_two_classes_are_named_so(frames):
    probabilities = {f"probability_{number}": 1 / 3 for number in range(3)}
    several = frames | {"predictions": frames["predictions"].drop(columns="probability").assign(**probabilities)}
    assert {"Test macro F1 (%)", "Test macro AUC (%)", "Test accuracy (%)"} <= set(summary_table(several).header)
    assert not [header for header in summary_table(frames).header if "macro" in header]


def test_tables_use_class_names_of_the_data(frames):
    rows = class_table(frames["classes"], ("other", "complaint")).rows
    assert {row[1] for row in rows} == {"other", "complaint"}
    mistakes = pd.DataFrame({"label": [0, 1], "probability": [0.9, 0.2], "text": ["a", "b"]})
    table = error_table(mistakes, ("other", "complaint"))
    assert table["True label"].tolist() == ["other", "complaint"]
    assert table["Predicted label"].tolist() == ["complaint", "other"]
    assert [str(cell) for cell in table["Probability of complaint (%)"]] == ["90.0", "20.0"]
