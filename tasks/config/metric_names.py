"""Names of the metrics by which architectures can be compared, and which of them is the default.

The metrics themselves are in `tasks.evaluation.metrics`.
"""

METRIC_NAMES = (
    "accuracy",
    "balanced_accuracy",
    "average_precision",
    "f1",
    "auc",
    "log_loss",
)  # in the order of reports
AUTO_METRIC = "auto"  # one of the two defaults below, by the balance of the classes
DEFAULT_METRIC = "accuracy"
IMBALANCED_METRIC = "balanced_accuracy"
