"""Variances of differences in accuracy, measured in docs/experiments/2026-11-27-variances.md.

They are for plans without an earlier run. The variances between seeds are pooled over several experiments, those
between reviews are of the bundled reviews.
"""

import itertools
from dataclasses import replace

from tasks.config.labels import BASELINE_NAMES
from tasks.statistics.planning import MAJORITY, PairVariance

PUBLISHED_SOURCE = (
    "published measurements (docs/experiments/2026-11-27-variances.md), without groups of reviews such as films"
)
LSTM_VARIANTS = ("lstm", "stacked_lstm", "bidirectional_lstm", "deep_lstm")
SIMPLE_RNN = "simple_rnn"
LINEAR_BASELINES = tuple(name for name in BASELINE_NAMES if name != MAJORITY)
# Seed variance, and the variances on one review that all seeds share and that is left; degrees of freedom of the first.
TWO_VARIANTS = PairVariance("", "", 8.7e-6, 0.0026, 0.046, df=28)
RNN_AND_VARIANT = PairVariance("", "", 7.9e-5, 0.015, 0.072, df=8)
VARIANT_AND_BASELINE = PairVariance("", "", 4.4e-6, 0.061, 0.029, df=28)
RNN_AND_BASELINE = PairVariance("", "", 7.5e-5, 0.052, 0.044, df=8)


def _published_pair(first: str, second: str) -> PairVariance:
    with_baseline = second in LINEAR_BASELINES
    if first == SIMPLE_RNN:
        kind = RNN_AND_BASELINE if with_baseline else RNN_AND_VARIANT
    else:
        kind = VARIANT_AND_BASELINE if with_baseline else TWO_VARIANTS
    return replace(kind, first=first, second=second)


_NETWORKS = (SIMPLE_RNN, *LSTM_VARIANTS)
PUBLISHED_PAIRS = tuple(
    _published_pair(*names)
    for names in (*itertools.combinations(_NETWORKS, 2), *itertools.product(_NETWORKS, LINEAR_BASELINES))
)
