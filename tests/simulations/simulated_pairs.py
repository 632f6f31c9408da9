"""The pairs of a simulated comparison, without the tables that a claim does not need."""

import pandas as pd

from tasks.evaluation.predictions import Predictions, metric_contributions
from tasks.statistics.confidence_intervals import VarianceComponents
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.pairs import compare_pairs


def compare_test_pairs(test: Predictions, options: ComparisonOptions) -> tuple[pd.DataFrame, list[VarianceComponents]]:
    """Compare the pairs of a test split as a comparison does, which computes further tables and takes longer.

    The bootstrap is not computed: its columns are meaningless.
    """
    contributions = metric_contributions(test, options.metrics)
    placeholder = {metric: values[..., :2] for metric, values in contributions.items()}
    return compare_pairs(test, contributions, placeholder, options)
