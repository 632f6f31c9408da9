"""Report of a search: its tables, and the sentence on budgets for every combination of networks and baselines."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.labels import BASELINE_NAMES, BASELINE_SEARCHES, label
from tasks.evaluation.metrics import METRICS
from tasks.models import baselines
from tasks.reporting.sections import report_sections
from tasks.reporting.summary_tables import cost_table
from tasks.reporting.tuning_tables import crossing_table, tuning_costs, tuning_table
from tasks.reporting.verdict import format_verdict
from tasks.reporting.verdict_tuning import tuning_sentences
from tests.helpers import synthetic

NETWORKS = ("lstm", "simple_rnn", "own:net")


@pytest.fixture(scope="module")
def frames():
    return synthetic.make_all_frames()


def without_search(frames, how):
    others = {name: frame for name, frame in frames.items() if name != "tuning"}
    return others if how == "missing" else {**others, "tuning": frames["tuning"].head(0)}


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_report_without_a_search_does_not_mention_one(frames, how):
    plain = without_search(frames, how)
    assert not [section.title for section in report_sections(plain) if "Tuning" in section.title]
    (cost,) = [section for section in report_sections(plain) if section.title == "Cost"]
    assert len(cost.table.header) == cost_table(frames["trials"]).shape[1]
    verdict, tuned = format_verdict(plain), format_verdict(frames)
    assert len(tuned.limits) == len(verdict.limits) + 1
    assert len(tuned.table.header) == len(verdict.table.header) + 1
    assert tuned.sentences == verdict.sentences
    assert tuning_sentences(plain) == []


def test_table_shows_budget_selection_and_scores_of_each_network(frames):
    table = tuning_table(frames)
    assert [row[0] for row in table.rows] == [label(name) for name in synthetic.TRIALS]
    for row, name in zip(table.rows, synthetic.TRIALS, strict=True):
        own = frames["tuning"][frames["tuning"]["architecture"] == name]
        chosen = own[own["selected"]].iloc[0]
        assert row[2].value == pytest.approx(own["cpu_seconds"].sum())
        assert row[3].value == chosen["configuration"]
        assert row[4].value == pytest.approx(100 * own["validation_accuracy"].iloc[0])
        assert row[6].value == pytest.approx(100 * (chosen["validation_accuracy"] - own["validation_accuracy"].iloc[0]))
        assert f"learning rate {chosen['learning_rate']:g}" in row[-1]


def test_report_names_parameters_that_were_not_searched(frames):
    fixed = {**frames, "tuning": frames["tuning"].assign(embedding_size=5)}
    for each, is_searched in ((frames, True), (fixed, False)):
        sections = {section.title: section for section in report_sections(each)}
        assert ("embedding size" in sections["Tuning"].table.rows[0][-1]) == is_searched
        assert (label("embedding_size") in sections["Tuning: sensitivity"].table.header) == is_searched
        assert ("embedding size 5" in sections["Tuning"].note) != is_searched


def test_cost_of_a_search_is_next_to_the_scores_and_in_the_table_of_costs(frames):
    costs = tuning_costs(frames, frames["trials"]["architecture"])
    total = frames["tuning"].query("architecture == 'lstm'")["cpu_seconds"].sum()
    verdict = {row[0]: row[-1] for row in format_verdict(frames).table.rows}
    table = cost_table(frames["trials"], costs).set_index("architecture").iloc[:, -1]
    assert costs["lstm"].value == verdict["LSTM"].value == table["lstm"].value == pytest.approx(total)
    searched = table.index.intersection([*BASELINE_SEARCHES])
    assert len(searched) >= 2
    assert all(table[name].value is None for name in searched)
    assert costs["majority"].value == 0


def test_search_without_a_finished_configuration_has_a_table_of_budgets_only(frames):
    unknown = [name for name in frames["tuning"] if name.startswith("validation_")]
    lost = frames["tuning"].assign(status="diverged", selected=False, **dict.fromkeys(unknown, np.nan))
    sections = [each for each in report_sections({**frames, "tuning": lost}) if "Tuning" in each.title]
    assert [section.title for section in sections] == ["Tuning"]
    assert {str(row[3]) for row in sections[0].table.rows} == {"not known"}


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_crossing_table_has_no_unknown_budget(frames, metric):
    assert all(row[-1].value > 0 for row in crossing_table(frames["tuning"], METRICS[metric]).rows)


# One row for each trial of a search: network, and CPU seconds, which may not be known.
SEARCHES = st.dictionaries(
    st.sampled_from(NETWORKS), st.lists(st.one_of(st.integers(1, 5_000), st.none()), min_size=1, max_size=4)
)


@given(SEARCHES, st.sets(st.sampled_from([*NETWORKS, *BASELINE_NAMES]), min_size=1))
def test_sentence_on_budgets_is_true_for_every_run(searches, compared):
    rows = [
        {"architecture": name, "configuration": number, "cpu_seconds": np.nan if seconds is None else seconds}
        for name, costs in searches.items() for number, seconds in enumerate(costs, 1)
    ]  # fmt: skip
    tuning = pd.DataFrame(rows, columns=["architecture", "configuration", "cpu_seconds"])
    sentences = tuning_sentences({"tuning": tuning, "groups": pd.DataFrame({"architecture": sorted(compared)})})
    tuned, networks = set(searches) & compared, set(NETWORKS) & compared
    assert len(sentences) == bool(tuned)
    if not tuned:
        return
    (text,) = sentences
    untuned = networks - tuned
    for name in untuned:
        assert re.search(rf"{re.escape(label(name))}.* not tuned", text)
    assert ("not tuned" in text) == bool(untuned)
    assert not any(label(name) in text for name in set(NETWORKS) - compared)
    assert all(label(name) in text for name in tuned) or "Each network" in text
    if "Each network" in text:
        assert networks == tuned
        assert len(tuned) > 1
    counts = [len(searches[name]) for name in tuned]
    found = re.search(r"tuned with (?:(\d+) to )?(\d+) configuration", text)
    assert (int(found[1] or found[2]), int(found[2])) == (min(counts), max(counts))
    totals = None if any(None in searches[name] for name in tuned) else [sum(searches[name]) for name in tuned]
    cpu = re.search(r"\((?:([\d,]+) to )?([\d,]+) CPU seconds\)", text)
    assert (cpu is None) == (totals is None)
    if totals:
        low, high = (int((each or cpu[2]).replace(",", "")) for each in cpu.groups())
        assert (low, high) == (min(totals), max(totals))
    for name in BASELINE_SEARCHES:
        assert (label(name) in text) == (name in compared)


@pytest.mark.parametrize(("gain", "is_noise"), [(0.002, True), (0.08, False)])
def test_verdict_compares_the_gain_of_a_search_with_the_noise_of_seeds(gain, is_noise):
    tuning = pd.DataFrame(
        {"architecture": "lstm", "configuration": [1, 2], "units": [32, 64], "seed": 2_000, "status": "finished",
         "validation_loss": [0.4, 0.3], "validation_accuracy": [0.80, 0.80 + gain], "cpu_seconds": 5.0,
         "selected": [False, True]}
    )  # fmt: skip
    values = [0.80, 0.81, 0.82]  # a standard deviation of 1 point, so 1.41 points of a difference
    scores = pd.DataFrame({"architecture": "lstm", "seed": range(3), "split": "validation", "metric": "accuracy"})
    frames = {"tuning": tuning, "scores": scores.assign(value=values), "groups": tuning[["architecture"]].head(1)}
    (text,) = tuning_sentences(frames)
    assert f"{100 * gain:+.2f}" in text
    assert "1.41" in text
    assert ("noise" in text) == is_noise


def test_baselines_try_as_many_values_as_the_report_says():
    tried = {"tfidf_logistic": baselines.LOGISTIC_C, "nb_svm": baselines.SVM_C}
    tried["averaged_embeddings"] = baselines.LEARNING_RATES
    assert {name: len(values) for name, values in tried.items()} == BASELINE_SEARCHES
