"""A linear classifier on the terms of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.evaluation.metrics import log_loss

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from tasks.models.baselines import LabeledTexts


class LinearModel(NamedTuple):
    """A linear classifier: logits = features · coefficients + intercept.

    Attributes:
        coefficients: (features,) float of the log-odds of class 1, or (features, classes) of more than two classes.
        intercept: Float, or (classes,) float.
    """

    coefficients: np.ndarray
    intercept: float | np.ndarray

    def probabilities(self, features: csr_matrix) -> np.ndarray:
        """Return the probabilities of (reviews, features) values, float32 in [0, 1]."""
        from scipy.special import expit, softmax

        logits = features @ self.coefficients + self.intercept
        return np.asarray(expit(logits) if logits.ndim == 1 else softmax(logits, axis=1), dtype=np.float32)

    def loss(self, features: csr_matrix, reviews: LabeledTexts) -> float:
        """Compute the log-loss on reviews, in nats."""
        return log_loss(reviews.labels, self.probabilities(features), reviews.weights, classes=reviews.classes)

    def calibrate(self, features: csr_matrix, reviews: LabeledTexts) -> LinearModel:
        """Return a model whose log-odds are a slope times the margin plus an offset, fitted to these reviews.

        Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines"; by a logistic regression on the margin.
        """
        from sklearn.linear_model import LogisticRegression

        margins = features @ self.coefficients + self.intercept
        fitted = LogisticRegression(class_weight=reviews.class_weight).fit(margins[:, None], reviews.labels)
        slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
        return LinearModel(slope * self.coefficients, slope * self.intercept + offset)

    def calibrate_classes(self, features: csr_matrix, reviews: LabeledTexts) -> LinearModel:
        """Return a model whose logits are a slope times the margins plus an offset for each class, fitted to reviews.

        This is what `calibrate` does for two classes. The squares of slope and offsets are penalized, so that a class
        with few reviews has an offset as well.
        """
        from scipy.optimize import minimize
        from scipy.special import log_softmax

        margins, rows = features @ self.coefficients + self.intercept, np.arange(len(reviews.labels))
        weights, true = reviews.weights, np.eye(reviews.classes)[reviews.labels]

        def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
            likelihoods = log_softmax(values[0] * margins + values[1:], axis=1)
            errors = (np.exp(likelihoods) - true) * weights[:, None]
            gradient = np.concatenate([[np.sum(errors * margins)], errors.sum(axis=0)]) + values
            return float(values @ values / 2 - weights @ likelihoods[rows, reviews.labels]), gradient

        slope, *offsets = minimize(loss, np.zeros(1 + reviews.classes), jac=True, method="L-BFGS-B").x.astype(
            np.float32
        )
        return LinearModel(slope * self.coefficients, slope * self.intercept + np.array(offsets))
