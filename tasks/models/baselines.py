"""Baselines that every network is held against: majority class, TF-IDF with logistic regression, NB-SVM.

They read all words of a review as single words and pairs, know no seed, and are tuned on the validation reviews
alone. A baseline is a function from training and validation reviews to a `Baseline`, listed in `BASELINES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tasks.evaluation.metrics import log_loss

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

# Regularisation strengths that are tried; the validation log-loss chooses, as it chooses a network's epoch.
LOGISTIC_STRENGTHS = (3.0, 10.0, 30.0, 100.0)
SVM_STRENGTHS = (0.003, 0.01, 0.03, 0.1)
# Texts come as words with one blank between. What stands in one training review alone tells little about others.
WORDS_AND_PAIRS: dict[str, Any] = {"ngram_range": (1, 2), "min_df": 2, "token_pattern": r"\S+", "lowercase": False}
SUBLINEAR: dict[str, Any] = {"sublinear_tf": True, "dtype": np.float32, **WORDS_AND_PAIRS}
BINARY: dict[str, Any] = {"binary": True, "dtype": np.float32, **WORDS_AND_PAIRS}
# How far the weights of NB-SVM are trusted beside their mean (Wang and Manning 2012, table 2: 0.25).
INTERPOLATION = 0.25


class Labelled(NamedTuple):
    """Reviews as a baseline reads them."""

    texts: Sequence[str]  # (reviews,) words with one blank between
    labels: np.ndarray  # (reviews,) int8, 0 or 1
    class_weight: Literal["balanced"] | None = None  # as scikit-learn has it

    @property
    def weights(self) -> np.ndarray:
        """How much each review counts, (reviews,) float."""
        from sklearn.utils.class_weight import compute_sample_weight

        return np.asarray(compute_sample_weight(self.class_weight, self.labels))


class Baseline(NamedTuple):
    """A trained baseline."""

    predict: Callable[[Sequence[str]], np.ndarray]  # (reviews,) texts to (reviews,) float32 in [0, 1]
    parameters: int
    weights: dict[str, np.ndarray]


def majority(train: Labelled, _: Labelled) -> Baseline:
    """Answer every review with the share of positive ones in training: what knowing nothing comes to."""
    share = np.float32(train.labels.mean())
    return Baseline(lambda texts: np.full(len(texts), share), 1, {"share": np.array([share])})


def tfidf_logistic(train: Labelled, validation: Labelled) -> Baseline:
    """Fit a logistic regression on TF-IDF weighted words and pairs of words, with sublinear counts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(**SUBLINEAR)
    features, given = _counted(vectorizer, train.texts), vectorizer.transform(validation.texts)

    def fitted(strength: float) -> Line:
        model = LogisticRegression(C=strength, max_iter=1_000, class_weight=train.class_weight)
        model.fit(features, train.labels)
        return Line(model.coef_[0], float(model.intercept_[0]))

    best = min(map(fitted, LOGISTIC_STRENGTHS), key=lambda line: line.loss(given, validation))
    return _baseline(vectorizer, best, idf=vectorizer.idf_)


def nb_svm(train: Labelled, validation: Labelled) -> Baseline:
    """Fit a linear support vector machine on words and pairs, each weighted by how much oftener one class has it.

    Its margins become probabilities by a slope and an offset, fitted on validation: interpolating the weights alone
    leaves the intercept out of scale.
    Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification".
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.svm import LinearSVC

    vectorizer = CountVectorizer(**BINARY)
    features, given = _counted(vectorizer, train.texts), vectorizer.transform(validation.texts)
    ratios = log_count_ratios(features, train.labels)
    weighted = features.multiply(ratios).tocsr()

    def fitted(strength: float) -> Line:
        model = LinearSVC(C=strength, dual=True, random_state=0, class_weight=train.class_weight).fit(
            weighted, train.labels
        )
        blended = (1 - INTERPOLATION) * np.abs(model.coef_[0]).mean() + INTERPOLATION * model.coef_[0]
        return Line(blended * ratios, float(model.intercept_[0])).calibrated(given, validation)

    best = min(map(fitted, SVM_STRENGTHS), key=lambda line: line.loss(given, validation))
    return _baseline(vectorizer, best)


BASELINES: dict[str, Callable[[Labelled, Labelled], Baseline]] = {
    "majority": majority,
    "tfidf_logistic": tfidf_logistic,
    "nb_svm": nb_svm,
}


def restored(name: str, weights: Mapping[str, np.ndarray]) -> Baseline:
    """Rebuild a trained baseline from its weights.

    Args:
        name: In `BASELINES`.
        weights: As a trained one holds them.

    Raises:
        KeyError, ValueError: If these are not the weights of such a baseline.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    if name == "majority":
        share = np.float32(weights["share"][0])
        return Baseline(lambda texts: np.full(len(texts), share), 1, dict(weights))
    words = weights["vocabulary"].tobytes().decode().split("\n")
    line = Line(weights["coefficients"], float(weights["intercept"][0]))
    if name == "nb_svm":
        return _baseline(CountVectorizer(vocabulary=words, **BINARY), line)
    vectorizer = TfidfVectorizer(vocabulary=words, **SUBLINEAR)
    vectorizer.idf_ = weights["idf"]
    return _baseline(vectorizer, line, idf=weights["idf"])


class Line(NamedTuple):
    """A linear classifier: log-odds = features · coefficients + intercept."""

    coefficients: np.ndarray  # (features,) float
    intercept: float

    def probabilities(self, features: csr_matrix) -> np.ndarray:
        """Answer (reviews, features) counts with (reviews,) float32 in [0, 1]."""
        from scipy.special import expit

        return np.asarray(expit(features @ self.coefficients + self.intercept), dtype=np.float32)

    def loss(self, features: csr_matrix, reviews: Labelled) -> float:
        """Compute the log-loss on reviews, in nats."""
        return log_loss(reviews.labels, self.probabilities(features), reviews.weights)

    def calibrated(self, features: csr_matrix, reviews: Labelled) -> Line:
        """Turn margins into log-odds by a slope and an offset that suit these reviews.

        Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines"; by a logistic regression on the margin.
        """
        from sklearn.linear_model import LogisticRegression

        margins = features @ self.coefficients + self.intercept
        fitted = LogisticRegression(class_weight=reviews.class_weight).fit(margins[:, None], reviews.labels)
        slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
        return Line(slope * self.coefficients, slope * self.intercept + offset)


def _counted(vectorizer: CountVectorizer, texts: Sequence[str]) -> csr_matrix:
    """Learn the words and count them; where no word stands in two reviews, those of one review must do."""
    try:
        return vectorizer.fit_transform(texts)
    except ValueError:
        return vectorizer.set_params(min_df=1).fit_transform(texts)


def log_count_ratios(features: csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Compute the logarithm of how much oftener each feature stands in positive reviews than in negative ones.

    Args:
        features: (reviews, features) 1 where a review has a feature.
        labels: (reviews,) 0 or 1.

    Returns:
        (features,) float32: log((1 + n_positive) / sum) - log((1 + n_negative) / sum), each sum over all features.
    """
    positive, negative = (1 + np.asarray(features[labels == label].sum(axis=0)).ravel() for label in (1, 0))
    return np.log((positive / positive.sum()) / (negative / negative.sum())).astype(np.float32)


def _baseline(vectorizer: CountVectorizer, line: Line, **weights: np.ndarray) -> Baseline:
    """Join features and classifier; the weights hold all that a prediction needs, the vocabulary as UTF-8 lines."""
    words = "\n".join(vectorizer.get_feature_names_out()).encode()
    weights |= {"coefficients": line.coefficients, "intercept": np.array([line.intercept])}
    return Baseline(
        lambda texts: line.probabilities(vectorizer.transform(texts)),
        parameters=len(line.coefficients) + 1,
        weights={"vocabulary": np.frombuffer(words, np.uint8), **weights},
    )
