"""Names of the metrics by which architectures can be compared, and which of them is the default.

The metrics themselves are in `tasks.evaluation.metrics`.
"""

from typing import Literal, get_args

ComparedMetric = Literal["accuracy", "balanced_accuracy", "average_precision", "f1", "auc", "log_loss"]
MetricChoice = Literal["auto", ComparedMetric]
METRIC_NAMES: tuple[str, ...] = get_args(ComparedMetric)  # in the order of reports
METRIC_CHOICES: tuple[str, ...] = get_args(MetricChoice)
AUTO_METRIC: MetricChoice = "auto"  # one of the two defaults below, by the balance of the classes
DEFAULT_METRIC: ComparedMetric = "accuracy"
IMBALANCED_METRIC: ComparedMetric = "balanced_accuracy"
