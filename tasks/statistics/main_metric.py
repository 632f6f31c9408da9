"""The main metric of a comparison, by which architectures are ranked and differences are claimed."""

from collections.abc import Mapping

import pandas as pd

from tasks.config.metric_names import AUTO_METRIC, DEFAULT_METRIC, IMBALANCED_METRIC
from tasks.data.balance import is_imbalanced
from tasks.evaluation.metric_record import Metric
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import Predictions


def select_metric(chosen: str, splits: Mapping[str, Predictions]) -> str:
    """Return the main metric.

    The default is accuracy, or balanced accuracy if the test reviews are imbalanced (see `tasks.data.balance`). It
    depends on the labels only and on no prediction. Where balanced accuracy is not defined, because all labels of a
    split are equal, it is accuracy.

    Args:
        chosen: A name in `METRIC_NAMES`, or `AUTO_METRIC` for the default.
        splits: Predictions of the splits "validation" and "test".
    """
    if chosen != AUTO_METRIC:
        return chosen
    metric, test = METRICS[IMBALANCED_METRIC], splits["test"]
    is_defined = all(metric.is_defined(split.labels) for split in splits.values())
    return metric.name if is_defined and is_imbalanced(test.labels, test.classes) else DEFAULT_METRIC


def main_metric(setup: pd.DataFrame | None) -> Metric:
    """Return the main metric of a comparison.

    Args:
        setup: The table setup; the default metric for None.
    """
    return METRICS[DEFAULT_METRIC if setup is None else str(setup["metric"].iloc[0])]
