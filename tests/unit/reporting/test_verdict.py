"""Sentences of the verdict: architectures, numbers and significance match the frames."""

import re

import numpy as np
import pandas as pd

from tasks.figures.verdict_labels import verdict_label
from tasks.reporting.verdict import verdict
from tasks.statistics.comparison import compare
from tasks.statistics.options import ComparisonOptions
from tests.helpers.simulated_predictions import simulate_predictions, to_frame


def compare_simulated(accuracies: dict[str, float], *, seeds: int = 6, reviews: int = 3_000) -> dict[str, pd.DataFrame]:
    """Compare simulated models of known accuracies; baselines have one seed."""
    splits = simulate_predictions(
        list(accuracies.values()), seeds=seeds, reviews=reviews, seed=5, validation_reviews=2_000
    )
    predictions = to_frame(splits)
    names = dict(zip(splits["test"].architectures, accuracies, strict=True))
    predictions["architecture"] = predictions["architecture"].map(names)
    is_baseline = predictions["architecture"].isin(["majority", "tfidf_logistic", "nb_svm"])
    predictions = predictions[~is_baseline | (predictions["seed"] == 0)]
    trials = predictions[["architecture", "seed"]].drop_duplicates()
    trials = trials.assign(parameters=100, latency_ms=0.5, status="finished")
    return compare(predictions, trials, ComparisonOptions(draws=100))


def find(sentences: list[str], *texts: str) -> str:
    """Return the only sentence that contains all texts."""
    (sentence,) = [sentence for sentence in sentences if all(text in sentence for text in texts)]
    return sentence


def test_first_sentence_names_the_best_architecture_with_its_scores():
    frames = compare_simulated({"lstm": 0.86, "simple_rnn": 0.7})
    row = frames["summary"].query("architecture == 'lstm' and metric == 'accuracy'").set_index("split")
    sentence = verdict(frames)[0]
    numbers = [row.loc["validation", "mean"], *row.loc["test", ["mean", "low", "high"]]]
    for text in ("LSTM", "2,000", "3,000", "6 seeds", *(f"{100 * number:.2f}%" for number in numbers)):
        assert text in sentence


def test_significantly_better_baseline_is_reported():
    sentences = verdict(compare_simulated({"lstm": 0.80, "nb_svm": 0.90, "majority": 0.5}))
    assert "LSTM" in find(sentences, "baseline NB-SVM is significantly better")
    assert verdict_label("worse") in find(sentences, "LSTM compared with NB-SVM")
    assert not any("Majority" in sentence for sentence in sentences)


def test_networks_are_compared_among_themselves_if_a_baseline_is_best():
    frames = compare_simulated({"lstm": 0.86, "simple_rnn": 0.7, "nb_svm": 0.92})
    row = frames["pairs"].query("metric == 'accuracy' and first == 'lstm' and second == 'simple_rnn'").iloc[0]
    sentence = find(verdict(frames), "Among the networks, LSTM")
    assert f"Simple RNN {-100 * row['difference']:+.2f} points ({verdict_label('worse')})" in sentence
    network_best = compare_simulated({"lstm": 0.9, "simple_rnn": 0.8, "nb_svm": 0.7})
    assert not any("Among" in sentence for sentence in verdict(network_best))


def test_baseline_ahead_with_few_seeds_is_not_significant():
    sentences = verdict(compare_simulated({"lstm": 0.80, "nb_svm": 0.90}, seeds=3))
    assert not any("significantly better" in sentence for sentence in sentences)
    assert "LSTM" in find(sentences, "baseline NB-SVM", "not significant")
    assert "1 of 1" in find(sentences, "Inconclusive pairs")


def test_baseline_behind_is_not_called_better():
    sentences = verdict(compare_simulated({"lstm": 0.9, "nb_svm": 0.8}))
    assert not any("The baseline" in sentence for sentence in sentences)


def test_cheapest_architecture_has_its_costs():
    sentences = verdict(compare_simulated({"lstm": 0.85, "deep_lstm": 0.85}))
    assert "100 parameters, 0.50 ms" in find(sentences, "Cheapest")


def test_inconclusive_architectures_are_in_no_best_group():
    accuracies = {"lstm": 0.6, "simple_rnn": 0.6, "nb_svm": 0.9, "tfidf_logistic": 0.9, "majority": 0.5}
    sentences = verdict(compare_simulated(accuracies, seeds=2))
    group, inconclusive = find(sentences, "Best group").split("Inconclusive")
    assert "NB-SVM and TF-IDF + logistic." in group
    assert "RNN" not in group
    assert "Simple RNN and LSTM." in inconclusive
    assert re.search("Cheapest.*: (NB-SVM|TF-IDF [+] logistic) ", find(sentences, "Cheapest"))
    alone = verdict(compare_simulated({"lstm": 0.6, "nb_svm": 0.9, "majority": 0.5}, seeds=2))
    assert "LSTM" in find(alone, "Inconclusive (too few shared seeds)")
    assert not any("Best group" in sentence or "Cheapest" in sentence for sentence in alone)


def test_gain_by_more_data_is_compared_with_the_lowest_network():
    frames = compare_simulated({"lstm": 0.9, "simple_rnn": 0.8})
    means = frames["groups"].set_index("architecture")["test_mean"]
    frames["learning_curve"] = pd.DataFrame(
        {
            "architecture": ["lstm", "lstm"], "train_reviews": [1_000, 2_000], "mean": [0.88, means["lstm"]],
            "gain": [np.nan, 0.02], "gain_low": [np.nan, 0.01], "gain_high": [np.nan, 0.03],
        }
    )  # fmt: skip
    sentence = find(verdict(frames), "1,000 to 2,000 training reviews", "LSTM", "+2.00 points", "[+1.00, +3.00]")
    assert f"Simple RNN, is {100 * (means['lstm'] - means['simple_rnn']):.2f} points below" in sentence


def test_every_difference_to_the_best_is_in_the_frames():
    frames = compare_simulated({"lstm": 0.86, "stacked_lstm": 0.85, "deep_lstm": 0.7, "nb_svm": 0.86})
    sentences = verdict(frames)
    for row in frames["groups"][~frames["groups"]["best"]].to_dict("records"):
        difference, low, high = (f"{100 * row[name]:+.2f}" for name in ("difference", "low", "high"))
        assert verdict_label(row["verdict"]) in find(sentences, f" {difference} points", f"[{low}, {high}]")
