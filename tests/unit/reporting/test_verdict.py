"""The verdict's sentences say what the frames say, and no more."""

import re

import numpy as np
import pandas as pd

from tasks.reporting.verdict import verdict
from tasks.statistics.comparison import compare
from tests.helpers.simulated_predictions import as_predictions, simulated_panels


def frames(accuracies: dict[str, float], *, seeds: int = 6, reviews: int = 3_000) -> dict[str, pd.DataFrame]:
    """Compare made-up models of known accuracies; baselines have one seed."""
    panels = simulated_panels(list(accuracies.values()), seeds=seeds, reviews=reviews, seed=5, validation_reviews=2_000)
    predictions = as_predictions(panels)
    names = dict(zip(panels["test"].architectures, accuracies, strict=True))
    predictions["architecture"] = predictions["architecture"].map(names)
    fixed = predictions["architecture"].isin(["majority", "tfidf_logistic", "nb_svm"])
    predictions = predictions[~fixed | (predictions["seed"] == 0)]
    trials = predictions[["architecture", "seed"]].drop_duplicates()
    trials = trials.assign(parameters=100, latency_ms=0.5, status="finished")
    return compare(predictions, trials, draws=100)


def found(sentences: list[str], words: str) -> str:
    """Return the one sentence that holds the words."""
    (sentence,) = [sentence for sentence in sentences if words in sentence]
    return sentence


def test_a_baseline_that_wins_is_said_to_win():
    said = verdict(frames({"lstm": 0.80, "nb_svm": 0.90, "majority": 0.5}))
    assert "NB-SVM beats LSTM on test" in found(said, "beats")
    assert "LSTM" in found(said, "a real difference")
    assert not any("Majority" in sentence for sentence in said)


def test_where_a_baseline_is_best_the_networks_are_compared_among_themselves():
    given = frames({"lstm": 0.86, "simple_rnn": 0.7, "nb_svm": 0.92})
    row = given["pairs"].query("metric == 'accuracy' and first == 'lstm' and second == 'simple_rnn'").iloc[0]
    sentence = found(verdict(given), "Among the networks, LSTM is the best on validation")
    assert f"Simple RNN {100 * row['difference']:.2f} points below it, a real difference." in sentence
    assert not any("Among" in sentence for sentence in verdict(frames({"lstm": 0.9, "simple_rnn": 0.8, "nb_svm": 0.7})))


def test_a_baseline_ahead_without_proof_is_no_claim():
    said = verdict(frames({"lstm": 0.80, "nb_svm": 0.90}, seeds=3))
    assert not any("beats" in sentence for sentence in said)
    assert "scores higher on test than LSTM, but that is no claim" in found(said, "scores higher")


def test_a_baseline_that_loses_is_not_said_to_win():
    said = verdict(frames({"lstm": 0.9, "nb_svm": 0.8}))
    assert not any("beats" in sentence or "scores higher" in sentence for sentence in said)


def test_the_cheapest_is_named_with_its_costs():
    said = verdict(frames({"lstm": 0.85, "deep_lstm": 0.85}))
    assert "100 parameters and 0.50 ms for one review" in found(said, "Cheapest")


def test_what_too_few_seeds_cannot_place_is_in_no_best_group():
    given = frames({"lstm": 0.6, "simple_rnn": 0.6, "nb_svm": 0.9, "tfidf_logistic": 0.9, "majority": 0.5}, seeds=2)
    said = verdict(given)
    assert found(said, "best group, of").endswith(
        "on these test reviews: NB-SVM and TF-IDF + logistic. "
        "Too few seeds are shared to set Simple RNN and LSTM apart from NB-SVM."
    )
    assert found(said, "Cheapest").endswith((": NB-SVM.", ": TF-IDF + logistic."))
    alone = verdict(frames({"lstm": 0.6, "nb_svm": 0.9, "majority": 0.5}, seeds=2))
    assert found(alone, "Too few seeds are shared to set") == "Too few seeds are shared to set LSTM apart from NB-SVM."
    assert not any("best group" in sentence or "Cheapest" in sentence for sentence in alone)


def test_more_data_is_held_against_another_architecture():
    given = frames({"lstm": 0.9, "simple_rnn": 0.8})
    best = given["groups"].set_index("architecture")["test_mean"]
    given["learning_curve"] = pd.DataFrame(
        {
            "architecture": ["lstm", "lstm"], "train_reviews": [1_000, 2_000], "mean": [0.88, best["lstm"]],
            "gain": [np.nan, 0.02], "gain_low": [np.nan, 0.01], "gain_high": [np.nan, 0.03],
        }
    )  # fmt: skip
    sentence = found(verdict(given), "training reviews, ")
    assert "From 1,000 to 2,000 training reviews, LSTM changed by +2.00 points" in sentence
    assert "[+1.00, +3.00]" in sentence
    apart = re.search(r"Simple RNN, stands (\d+\.\d+) points below", sentence)
    assert apart
    assert float(apart[1]) == round(100 * (best["lstm"] - best["simple_rnn"]), 2)


def test_every_number_against_the_best_is_in_the_frames():
    given = frames({"lstm": 0.86, "stacked_lstm": 0.85, "deep_lstm": 0.7, "nb_svm": 0.86})
    for row in given["groups"][~given["groups"]["best"]].to_dict("records"):
        difference, low, high = (f"{100 * row[name]:+.2f}" for name in ("difference", "low", "high"))
        found(verdict(given), f"(difference {difference}, interval [{low}, {high}]): ")
