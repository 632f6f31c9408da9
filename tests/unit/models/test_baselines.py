"""Baselines: they learn from single words and pairs, are deterministic, and can be restored from their weights."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import expit

from tasks.models.baselines import (
    BASELINES,
    LabeledTexts,
    averaged_embeddings,
    log_count_ratios,
    majority,
    nb_svm,
    restore_baseline,
    tfidf_logistic,
)
from tasks.models.linear_model import LinearModel

LEARNERS = [tfidf_logistic, nb_svm, averaged_embeddings]


def reviews(count: int, seed: int = 0) -> LabeledTexts:
    """Return reviews of 3 to 8 words whose class depends on one word, and on the pair "not good"."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count).astype(np.int8)
    fill = [" ".join(rng.choice(["a", "film", "with", "plot"], rng.integers(2, 6))) for _ in labels]
    told = ["good" if label else rng.choice(["bad", "not good"]) for label in labels]
    return LabeledTexts([f"{words} {word}" for words, word in zip(fill, told, strict=True)], labels)


@pytest.mark.parametrize("learn", LEARNERS)
def test_baselines_learn_from_words_and_pairs(learn):
    train, validation, test = reviews(200), reviews(60, 1), reviews(61, 2)
    probabilities = learn(train, validation).predict(test.texts)
    assert probabilities.shape == (61,)
    assert probabilities.dtype == np.float32
    assert ((probabilities > 0.5) == test.labels).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


@pytest.mark.parametrize("learn", BASELINES.values())
def test_same_reviews_give_same_weights(learn):
    made = [learn(reviews(80), reviews(30, 1)).weights for _ in range(2)]
    assert made[0].keys() == made[1].keys()
    assert all(made[0][name].tobytes() == made[1][name].tobytes() for name in made[0])


@pytest.mark.parametrize("learn", BASELINES.values())
def test_predictions_do_not_depend_on_the_batch(learn):
    baseline, texts = learn(reviews(80), reviews(30, 1)), [*reviews(9, 2).texts, "", "unheard of"]
    together = baseline.predict(texts)
    np.testing.assert_array_equal(together, [baseline.predict([text])[0] for text in texts])


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("classes", [2, 3])
def test_restored_baseline_predicts_the_same(name, classes):
    train, validation = ((given.texts, given.labels) for given in (reviews(90), reviews(60, 1)))
    labels = [
        np.where(np.arange(len(each)) % 5 == 0, classes - 1, each).astype(np.int8) for _, each in (train, validation)
    ]
    made = BASELINES[name](
        *(LabeledTexts(each[0], own, None, classes) for each, own in zip((train, validation), labels, strict=True))
    )
    restored = restore_baseline(name, made.weights)
    texts = [*validation[0], "", "unheard"]
    np.testing.assert_array_equal(restored.predict(texts), made.predict(texts))
    assert made.predict(texts).shape == ((62,) if classes == 2 else (62, 3))


@pytest.mark.parametrize("learn", LEARNERS)
def test_weights_include_vocabulary_coefficients_and_intercept(learn):
    baseline = learn(reviews(80), reviews(30, 1))
    words = bytes(baseline.weights["vocabulary"]).decode().split("\n")
    assert len(words) == len(baseline.weights["coefficients"]) == baseline.parameters - 1
    # A review without a known word is predicted by the intercept alone.
    np.testing.assert_allclose(baseline.predict(["unheard"]), expit(baseline.weights["intercept"]), rtol=1e-6)


@pytest.mark.parametrize("learn", LEARNERS)
@pytest.mark.parametrize(("weight", "expected"), [(None, 0.1), ("balanced", 0.5)])
def test_balanced_class_weights_shift_probabilities_to_one_half(learn, weight, expected):
    labels = np.array([1] + [0] * 9, np.int8).repeat(20)
    constant = LabeledTexts(["same words"] * 200, labels, weight)
    assert learn(constant, constant).predict(["same words"])[0] == pytest.approx(expected, abs=0.02)


def test_majority_predicts_the_share_of_positives():
    baseline = majority(LabeledTexts(["a", "b", "c", "d"], np.array([1, 1, 1, 0], np.int8)), reviews(3))
    assert baseline.predict(["x", "y"]).tolist() == [0.75, 0.75]
    assert baseline.parameters == 1


def test_log_count_ratios_by_hand():
    # Positive counts [2, 0, 1] and negative [1, 2, 1]; plus one: [3, 1, 2] of 6 against [2, 3, 2] of 7.
    features = csr_matrix(np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0], [0, 1, 1]]))
    found = log_count_ratios(features, np.array([1, 1, 0, 0]))
    np.testing.assert_allclose(found, np.log([(3 / 6) / (2 / 7), (1 / 6) / (3 / 7), (2 / 6) / (2 / 7)]), rtol=1e-6)


@pytest.mark.parametrize("learn", LEARNERS)
def test_reviews_without_a_common_word_are_valid(learn):
    alone = LabeledTexts([f"word{number}" for number in range(40)], np.arange(40, dtype=np.int8) % 2)
    assert np.isfinite(learn(alone, alone).predict(["word1", "other"])).all()


def test_calibration_recovers_the_true_log_odds():
    # The true log-odds are 2 x - 1; the model predicts x + 3, so nearly every review is positive.
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    labels = (rng.random(20_000) < expit(2 * x - 1)).astype(np.int8)
    found = LinearModel(np.array([1.0]), 3.0).calibrate(csr_matrix(x[:, None]), LabeledTexts([], labels))
    assert found.coefficients[0] == pytest.approx(2, abs=0.1)
    assert found.intercept == pytest.approx(-1, abs=0.1)
