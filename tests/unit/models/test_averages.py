"""Averaged embeddings: the compiled loop does what its equations state, for all sizes and classes."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import softmax

from tasks.models.averages import descend, fit_averages, log_shares
from tasks.models.baselines import LabeledTexts, averaged_embeddings, proportions


def labeled(texts: list[str], labels: np.ndarray, classes: int = 2) -> LabeledTexts:
    return LabeledTexts(texts, labels.astype(np.int8), None, classes)


def test_one_update_by_the_equations():
    rng = np.random.default_rng(0)
    x = np.array([[0.5, 0.0, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]], np.float32)
    embeddings, output = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3, 5)))
    intercepts = log_shares(np.array([0, 1, 4]), np.ones(3), 5)
    mean = x[0] @ embeddings
    errors = np.eye(5)[2] - softmax(mean @ output + intercepts)
    # The second update has half of the rate, but no terms: it changes nothing.
    expected_output = output + 0.1 * np.outer(mean, errors)
    expected_embeddings = embeddings + 0.1 * np.outer(x[0], output @ errors)
    sparse = csr_matrix(x)
    descend(
        sparse.indptr.astype(np.int64), sparse.indices.astype(np.int32), sparse.data, np.array([2, 3]),
        np.full(2, 0.1, np.float32), np.array([0, 1]), embeddings, output, intercepts,
    )  # fmt: skip
    np.testing.assert_allclose(output, expected_output, atol=1e-6)
    np.testing.assert_allclose(embeddings, expected_embeddings, atol=1e-6)


def test_log_shares_by_hand():
    # Weights of 1, 1 and 4 are 0.5, 0.5 and 2 of their mean; with one more: 2, 3 and 1 of 6.
    np.testing.assert_allclose(log_shares(np.array([0, 0, 1]), np.array([1.0, 1, 4]), 3), np.log([2 / 6, 3 / 6, 1 / 6]))


def test_proportions_by_hand():
    found = proportions(csr_matrix(np.array([[1, 3, 0], [0, 0, 0]], np.float32)))
    assert found.toarray().tolist() == [[0.25, 0.75, 0], [0, 0, 0]]
    assert found.dtype == np.float32


def test_seed_decides_the_result():
    terms = csr_matrix(np.random.default_rng(0).dirichlet(np.ones(6), 40).astype(np.float32))
    labels = np.arange(40) % 3
    one, same, other = (
        fit_averages(terms, labels, np.ones(40), classes=3, rate=1.0, seed=seed)[0] for seed in (0, 0, 1)
    )
    assert one.shape == (6, 3)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_rate_that_overflows_is_lowered():
    terms = csr_matrix(np.eye(2, dtype=np.float32)[np.arange(40) % 2])
    coefficients, _ = fit_averages(terms, np.arange(40) // 2 % 2, np.ones(40), classes=2, rate=1e6)
    assert np.isfinite(coefficients).all()


@pytest.mark.parametrize("classes", [2, 40, 100])
def test_texts_of_one_word_are_learned(classes):
    labels = np.arange(8 * classes) % classes
    texts = labeled([f"word{label}" for label in labels], labels, classes)
    predicted = averaged_embeddings(texts, texts).predict([f"word{label}" for label in range(classes)])
    best = predicted > 0.5 if classes == 2 else predicted.argmax(axis=1)
    assert (best == np.arange(classes)).all()
    assert np.isfinite(predicted).all()


def test_fifty_short_and_empty_texts_suffice():
    labels = np.arange(50) % 2
    texts = labeled([*(f"{('bad', 'good')[label]} film" for label in labels[:48]), "", ""], labels)
    probabilities = averaged_embeddings(texts, texts).predict(["good film", "bad film", "good", ""])
    assert probabilities[0] > 0.9
    assert probabilities[1] < 0.1
    assert probabilities[3] == pytest.approx(0.5, abs=0.01)


def test_a_class_without_training_texts_is_possible():
    labels = np.arange(30) % 2
    texts = labeled([f"word{label} a" for label in labels], labels, classes=3)
    probabilities = averaged_embeddings(texts, texts).predict(["word0 a", ""])
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
