"""Terms are counted like scikit-learn counts them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from tasks.models.baselines import LabeledTexts, restore_baseline, tfidf_logistic
from tasks.models.terms import TermCounter, learn_terms

OPTIONS = {"ngram_range": (1, 2), "token_pattern": r"\S+", "lowercase": False, "dtype": np.float32}
words = st.sampled_from(["a", "b", "ab", "é", "😀", "!", "don't", "字"])
texts = st.lists(st.lists(words, max_size=9).map(" ".join), min_size=1, max_size=12)


@given(texts, texts)
def test_counts_equal_those_of_scikit_learn(train, other):
    if not any(train):
        with pytest.raises(ValueError, match="word"):
            learn_terms(train)
        return
    terms, counts = learn_terms(train)
    try:
        vectorizer = CountVectorizer(min_df=2, **OPTIONS)
        expected = vectorizer.fit_transform(train)
    except ValueError:  # no term is in two texts
        vectorizer = CountVectorizer(min_df=1, **OPTIONS)
        expected = vectorizer.fit_transform(train)
    assert terms.to_pylist() == vectorizer.get_feature_names_out().tolist()
    np.testing.assert_array_equal(counts.indptr, expected.indptr)
    np.testing.assert_array_equal(counts.indices, expected.indices)  # solvers depend on the order in a row
    np.testing.assert_array_equal(counts.data, expected.data)
    counter = TermCounter(terms)
    np.testing.assert_array_equal(counter.count(other).toarray(), vectorizer.transform(other).toarray())
    assert counter.count(other).dtype == np.float32


def test_pairs_do_not_cross_texts_and_empty_texts_have_no_terms():
    terms, counts = learn_terms(["b a b", "", "a b", "a"])
    assert terms.to_pylist() == ["a", "a b", "b"]  # "b a" is in one text only
    assert counts.toarray().tolist() == [[1, 1, 2], [0, 0, 0], [1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("terms", [["a", "a b"], ["a", "b", "a b a"]])
def test_terms_that_are_no_words_and_pairs_are_refused(terms):
    with pytest.raises(ValueError, match="terms"):
        TermCounter(pa.array(terms, pa.large_string()))


def test_predictions_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300).astype(np.int8)
    ranks = rng.zipf(1.5, (300, 30)) % 200 + 3 * labels[:, None] * (rng.random((300, 30)) < 0.1)
    reviews = [" ".join(f"w{rank}" for rank in row) for row in ranks]
    train, validation = LabeledTexts(reviews[:200], labels[:200]), LabeledTexts(reviews[200:], labels[200:])
    baseline = tfidf_logistic(train, validation)
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, **OPTIONS)
    features, others = vectorizer.fit_transform(train.texts), vectorizer.transform(validation.texts)
    fits = [LogisticRegression(C=c, max_iter=1_000).fit(features, train.labels) for c in (3.0, 10.0, 30.0, 100.0)]
    expected = [fitted.predict_proba(others)[:, 1] for fitted in fits]
    predicted = baseline.predict(validation.texts)
    assert min(np.abs(predicted - each).max() for each in expected) < 1e-6
    restored = restore_baseline("tfidf_logistic", baseline.weights)
    np.testing.assert_array_equal(restored.predict(validation.texts), predicted)
