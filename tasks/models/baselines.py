"""Baselines for comparison with the networks: majority class, TF-IDF with logistic regression, NB-SVM, embeddings.

They read all tokens of a review as unigrams and bigrams, depend on no seed, and are tuned on the validation reviews. A
baseline is a function from training and validation reviews to a `Baseline`, listed in `BASELINES`.

Probabilities are (reviews,) of class 1 for two classes, and (reviews, classes) for more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from tasks.models.linear_model import LinearModel
from tasks.models.terms import TermCounter, learn_terms

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Candidates of the inverse regularization strength; the one with the lowest validation log-loss is used.
LOGISTIC_C = (3.0, 10.0, 30.0, 100.0)
SVM_C = (0.003, 0.01, 0.03, 0.1)
LEARNING_RATES = (0.1, 0.25, 0.5, 1.0)
# Interpolation of the weights of NB-SVM with their mean magnitude (Wang and Manning 2012, table 2: 0.25).
INTERPOLATION = 0.25


class LabeledTexts(NamedTuple):
    """Normalized texts with their labels.

    Attributes:
        texts: (reviews,) tokens separated by single spaces.
        labels: (reviews,) int8, the class of each review, from 0.
        class_weight: Class weights in the sense of scikit-learn.
        classes: Number of classes.
    """

    texts: Sequence[str]
    labels: np.ndarray
    class_weight: Literal["balanced"] | None = None
    classes: int = 2

    @property
    def weights(self) -> np.ndarray:
        """Weight of each review, (reviews,) float."""
        from sklearn.utils.class_weight import compute_sample_weight

        return np.asarray(compute_sample_weight(self.class_weight, self.labels))


class Baseline(NamedTuple):
    """A trained baseline.

    Attributes:
        predict: Returns the probabilities of (reviews,) texts, float32 in [0, 1].
        parameters: Number of parameters.
        weights: Arrays that `restore_baseline` needs, by name.
    """

    predict: Callable[[Sequence[str]], np.ndarray]
    parameters: int
    weights: dict[str, np.ndarray]


def majority(train: LabeledTexts, _: LabeledTexts) -> Baseline:
    """Predict the share of positive training reviews for each review; of more than two classes, the share of each."""
    if train.classes == 2:
        return restore_baseline("majority", {"share": np.array([train.labels.mean()], np.float32)})
    shares = np.bincount(train.labels, minlength=train.classes) / len(train.labels)
    return restore_baseline("majority", {"share": shares.astype(np.float32)})


def tfidf_logistic(train: LabeledTexts, validation: LabeledTexts) -> Baseline:
    """Fit a (multinomial) logistic regression on TF-IDF weighted unigrams and bigrams, with sublinear counts."""
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    terms, counts = learn_terms(train.texts)
    counter, weighting = TermCounter(terms), TfidfTransformer(sublinear_tf=True).fit(counts)
    features, validation_features = map(weighting.transform, (counts, counter.count(validation.texts)))

    # With many classes, the memory of "lbfgs" would be twenty times that of the coefficients.
    solver = "lbfgs" if train.classes == 2 else "newton-cg"

    def fit(inverse_strength: float) -> LinearModel:
        model = LogisticRegression(C=inverse_strength, max_iter=1_000, class_weight=train.class_weight, solver=solver)
        model.fit(features, train.labels)
        if train.classes > 2:
            return LinearModel(np.ascontiguousarray(model.coef_.T, np.float32), model.intercept_.astype(np.float32))
        return LinearModel(model.coef_[0], float(model.intercept_[0]))

    best = min(map(fit, LOGISTIC_C), key=lambda model: model.loss(validation_features, validation))
    return _linear_baseline(counter, weighting.transform, best, idf=weighting.idf_)


def nb_svm(train: LabeledTexts, validation: LabeledTexts) -> Baseline:
    """Fit a linear support vector machine on unigrams and bigrams, weighted by their log-count ratios.

    Of more than two classes, there is one for each class against all others. Margins are converted to probabilities by
    a slope and an offset that are fitted on validation, because interpolating the weights leaves the intercept out of
    scale.
    Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification".
    """
    terms, counts = learn_terms(train.texts)
    counter = TermCounter(terms)
    features, validation_features = presence(counts), presence(counter.count(validation.texts))
    targets = [train.labels] if train.classes == 2 else [train.labels == label for label in range(train.classes)]
    ratios = [log_count_ratios(features, target) for target in targets]

    def fit(inverse_strength: float) -> LinearModel:
        fits = [
            _fit_svm(features, each, target, train, inverse_strength)
            for each, target in zip(ratios, targets, strict=True)
        ]
        if train.classes == 2:
            return LinearModel(*fits[0]).calibrate(validation_features, validation)
        coefficients, intercepts = zip(*fits, strict=True)
        rows = np.ascontiguousarray(np.transpose(coefficients), np.float32)
        linear = LinearModel(rows, np.array(intercepts, np.float32))
        return linear.calibrate_classes(validation_features, validation)

    best = min(map(fit, SVM_C), key=lambda model: model.loss(validation_features, validation))
    return _linear_baseline(counter, presence, best)


def _fit_svm(
    features: csr_matrix, ratios: np.ndarray, target: np.ndarray, train: LabeledTexts, inverse_strength: float
) -> tuple[np.ndarray, float]:
    """Fit one class against all others, and return its coefficients (features,) and its intercept.

    Args:
        features: (reviews, features) 1 if a review has a feature.
        ratios: (features,) log-count ratios of the class.
        target: (reviews,) whether a review is of the class.
        train: The training reviews. With more than two classes, their weights are those of their own classes.
        inverse_strength: Inverse regularization strength.
    """
    from sklearn.svm import LinearSVC

    weight, sample_weight = (train.class_weight, None) if train.classes == 2 else (None, train.weights)
    model = LinearSVC(C=inverse_strength, dual=True, random_state=0, class_weight=weight)
    model.fit(features.multiply(ratios).tocsr(), target, sample_weight=sample_weight)
    blended = (1 - INTERPOLATION) * np.abs(model.coef_[0]).mean() + INTERPOLATION * model.coef_[0]
    return blended * ratios, float(model.intercept_[0])


def presence(counts: csr_matrix) -> csr_matrix:
    """Return 1 where a term occurs, whatever its count."""
    return counts.sign()


def averaged_embeddings(train: LabeledTexts, validation: LabeledTexts) -> Baseline:
    """Fit a softmax regression on the mean of trained embeddings of the unigrams and bigrams, see `averages`."""
    from tasks.models.averages import fit_averages  # compiled code is loaded only if a training needs it

    terms, counts = learn_terms(train.texts)
    counter = TermCounter(terms)
    features, validation_features = proportions(counts), proportions(counter.count(validation.texts))

    def fit(rate: float) -> LinearModel:
        logits = fit_averages(features, train.labels, train.weights, classes=train.classes, rate=rate)
        if train.classes > 2:
            return LinearModel(*logits)
        coefficients, intercept = (values[..., 1] - values[..., 0] for values in logits)
        return LinearModel(coefficients, float(intercept))

    best = min(map(fit, LEARNING_RATES), key=lambda model: model.loss(validation_features, validation))
    return _linear_baseline(counter, proportions, best)


def proportions(counts: csr_matrix) -> csr_matrix:
    """Return the share of each term in all known terms of its text."""
    from sklearn.preprocessing import normalize

    return normalize(counts, norm="l1")


BASELINES: dict[str, Callable[[LabeledTexts, LabeledTexts], Baseline]] = {
    "majority": majority,
    "tfidf_logistic": tfidf_logistic,
    "nb_svm": nb_svm,
    "averaged_embeddings": averaged_embeddings,
}
WEIGHTINGS = {"nb_svm": presence, "averaged_embeddings": proportions}  # of the counts of terms


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
        shares = weights["share"].astype(np.float32)
        constant = shares[0] if len(shares) == 1 else shares
        return Baseline(lambda texts: np.full((len(texts), *constant.shape), constant), len(shares), dict(weights))
    counter = TermCounter(pa.array(weights["vocabulary"].tobytes().decode().split("\n"), pa.large_string()))
    intercept = weights["intercept"]
    model = LinearModel(weights["coefficients"], float(intercept[0]) if len(intercept) == 1 else intercept)
    if name in WEIGHTINGS:
        return _linear_baseline(counter, WEIGHTINGS[name], model)
    weighting = TfidfTransformer(sublinear_tf=True)
    weighting.idf_ = weights["idf"]
    return _linear_baseline(counter, weighting.transform, model, idf=weights["idf"])


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
    weights |= {"coefficients": model.coefficients, "intercept": np.atleast_1d(model.intercept)}
    return Baseline(
        lambda texts: model.probabilities(weigh(counter.count(texts))),
        parameters=model.coefficients.size + np.size(model.intercept),
        weights={"vocabulary": np.frombuffer(lines, np.uint8), **weights},
    )
