"""Baselines for comparison with the networks: majority class, TF-IDF with logistic regression, NB-SVM.

They read all tokens of a review as unigrams and bigrams, depend on no seed, and are tuned on the validation reviews. A
baseline is a function from training and validation reviews to a `Baseline`, listed in `BASELINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from tasks.evaluation.metrics import log_loss
from tasks.models.terms import TermCounter, learn_terms

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Candidates of the inverse regularization strength; the one with the lowest validation log-loss is used.
LOGISTIC_C = (3.0, 10.0, 30.0, 100.0)
SVM_C = (0.003, 0.01, 0.03, 0.1)
# Interpolation of the weights of NB-SVM with their mean magnitude (Wang and Manning 2012, table 2: 0.25).
INTERPOLATION = 0.25


class LabeledTexts(NamedTuple):
    """Normalized texts with their labels.

    Attributes:
        texts: (reviews,) tokens separated by single spaces.
        labels: (reviews,) int8, 0 or 1.
        class_weight: Class weights in the sense of scikit-learn.
    """

    texts: Sequence[str]
    labels: np.ndarray
    class_weight: Literal["balanced"] | None = None

    @property
    def weights(self) -> np.ndarray:
        """Weight of each review, (reviews,) float."""
        from sklearn.utils.class_weight import compute_sample_weight

        return np.asarray(compute_sample_weight(self.class_weight, self.labels))


class Baseline(NamedTuple):
    """A trained baseline.

    Attributes:
        predict: Returns the probability of the positive class, (reviews,) float32 in [0, 1], of (reviews,) texts.
        parameters: Number of parameters.
        weights: Arrays that `restore_baseline` needs, by name.
    """

    predict: Callable[[Sequence[str]], np.ndarray]
    parameters: int
    weights: dict[str, np.ndarray]


def majority(train: LabeledTexts, _: LabeledTexts) -> Baseline:
    """Predict the share of positive training reviews for each review."""
    share = np.float32(train.labels.mean())
    return Baseline(lambda texts: np.full(len(texts), share), 1, {"share": np.array([share])})


def tfidf_logistic(train: LabeledTexts, validation: LabeledTexts) -> Baseline:
    """Fit a logistic regression on TF-IDF weighted unigrams and bigrams, with sublinear counts."""
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    terms, counts = learn_terms(train.texts)
    counter, weighting = TermCounter(terms), TfidfTransformer(sublinear_tf=True).fit(counts)
    features, validation_features = map(weighting.transform, (counts, counter.count(validation.texts)))

    def fit(inverse_strength: float) -> LinearModel:
        model = LogisticRegression(C=inverse_strength, max_iter=1_000, class_weight=train.class_weight)
        model.fit(features, train.labels)
        return LinearModel(model.coef_[0], float(model.intercept_[0]))

    best = min(map(fit, LOGISTIC_C), key=lambda model: model.loss(validation_features, validation))
    return _linear_baseline(counter, weighting.transform, best, idf=weighting.idf_)


def nb_svm(train: LabeledTexts, validation: LabeledTexts) -> Baseline:
    """Fit a linear support vector machine on unigrams and bigrams, weighted by their log-count ratios.

    Margins are converted to probabilities by a slope and an offset that are fitted on validation, because interpolating
    the weights leaves the intercept out of scale.
    Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification".
    """
    from sklearn.svm import LinearSVC

    terms, counts = learn_terms(train.texts)
    counter = TermCounter(terms)
    features, validation_features = presence(counts), presence(counter.count(validation.texts))
    ratios = log_count_ratios(features, train.labels)
    weighted = features.multiply(ratios).tocsr()

    def fit(inverse_strength: float) -> LinearModel:
        model = LinearSVC(C=inverse_strength, dual=True, random_state=0, class_weight=train.class_weight).fit(
            weighted, train.labels
        )
        blended = (1 - INTERPOLATION) * np.abs(model.coef_[0]).mean() + INTERPOLATION * model.coef_[0]
        linear = LinearModel(blended * ratios, float(model.intercept_[0]))
        return linear.calibrate(validation_features, validation)

    best = min(map(fit, SVM_C), key=lambda model: model.loss(validation_features, validation))
    return _linear_baseline(counter, presence, best)


def presence(counts: csr_matrix) -> csr_matrix:
    """Return 1 where a term occurs, whatever its count."""
    return counts.sign()


BASELINES: dict[str, Callable[[LabeledTexts, LabeledTexts], Baseline]] = {
    "majority": majority,
    "tfidf_logistic": tfidf_logistic,
    "nb_svm": nb_svm,
}


def restore_baseline(name: str, weights: Mapping[str, np.ndarray]) -> Baseline:
    """Rebuild a trained baseline from its weights.

    Args:
        name: Name in `BASELINES`.
        weights: Weights of the trained baseline.

    Raises:
        KeyError, ValueError: If the weights are not those of this baseline.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    if name == "majority":
        share = np.float32(weights["share"][0])
        return Baseline(lambda texts: np.full(len(texts), share), 1, dict(weights))
    counter = TermCounter(pa.array(weights["vocabulary"].tobytes().decode().split("\n"), pa.large_string()))
    model = LinearModel(weights["coefficients"], float(weights["intercept"][0]))
    if name == "nb_svm":
        return _linear_baseline(counter, presence, model)
    weighting = TfidfTransformer(sublinear_tf=True)
    weighting.idf_ = weights["idf"]
    return _linear_baseline(counter, weighting.transform, model, idf=weights["idf"])


class LinearModel(NamedTuple):
    """A linear classifier: log-odds = features · coefficients + intercept.

    Attributes:
        coefficients: (features,) float.
        intercept: Float.
    """

    coefficients: np.ndarray
    intercept: float

    def probabilities(self, features: csr_matrix) -> np.ndarray:
        """Return the probability of the positive class, (reviews,) float32 in [0, 1], of (reviews, features) values."""
        from scipy.special import expit

        return np.asarray(expit(features @ self.coefficients + self.intercept), dtype=np.float32)

    def loss(self, features: csr_matrix, reviews: LabeledTexts) -> float:
        """Compute the log-loss on reviews, in nats."""
        return log_loss(reviews.labels, self.probabilities(features), reviews.weights)

    def calibrate(self, features: csr_matrix, reviews: LabeledTexts) -> LinearModel:
        """Return a model whose log-odds are a slope times the margin plus an offset, fitted to these reviews.

        Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines"; by a logistic regression on the margin.
        """
        from sklearn.linear_model import LogisticRegression

        margins = features @ self.coefficients + self.intercept
        fitted = LogisticRegression(class_weight=reviews.class_weight).fit(margins[:, None], reviews.labels)
        slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
        return LinearModel(slope * self.coefficients, slope * self.intercept + offset)


def log_count_ratios(features: csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Compute the log-count ratio of each feature: how much more frequent it is in positive than in negative reviews.

    Args:
        features: (reviews, features) 1 if a review has a feature.
        labels: (reviews,) 0 or 1.

    Returns:
        (features,) float32: log((1 + n_positive) / sum) - log((1 + n_negative) / sum), each sum over all features.
    """
    positive, negative = (1 + np.asarray(features[labels == label].sum(axis=0)).ravel() for label in (1, 0))
    return np.log((positive / positive.sum()) / (negative / negative.sum())).astype(np.float32)


def _linear_baseline(
    counter: TermCounter, weigh: Callable[[csr_matrix], csr_matrix], model: LinearModel, **weights: np.ndarray
) -> Baseline:
    """Return a baseline of terms, the weighting of their counts, and a classifier.

    Its weights include the terms as lines of UTF-8 text.
    """
    lines = "\n".join(counter.terms.to_pylist()).encode()
    weights |= {"coefficients": model.coefficients, "intercept": np.array([model.intercept])}
    return Baseline(
        lambda texts: model.probabilities(weigh(counter.count(texts))),
        parameters=len(model.coefficients) + 1,
        weights={"vocabulary": np.frombuffer(lines, np.uint8), **weights},
    )
