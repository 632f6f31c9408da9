"""Variances of differences that were measured in docs/experiments, for plans without an earlier run."""

from tasks.statistics.planning import PairVariance

PUBLISHED_SOURCE = "published, from five seeds on the bundled reviews (docs/experiments/2026-11-27-variances.md)"
# Pair, seed variance, and variances of one review that all seeds share and that is left.
_MEASURED = (
    ("simple_rnn", "lstm", 9.7e-5, 0.03, 0.05),
    ("lstm", "stacked_lstm", 1.3e-5, 0.01, 0.04),
    ("lstm", "nb_svm", 0.7e-5, 0.05, 0.03),
)
PUBLISHED_PAIRS = tuple(
    PairVariance(first, second, seed_variance, shared_variance, rest_variance, df=4)
    for first, second, seed_variance, shared_variance, rest_variance in _MEASURED
)
