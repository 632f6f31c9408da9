"""Names of architectures and baselines, and display names of architectures, metrics and columns."""

import hashlib
import re
from collections.abc import Iterable

from tasks.config.escape import escape_terminal

# In the order of reports and figures. The builders of the networks are in tasks/models.
ARCHITECTURE_NAMES = (
    "simple_rnn", "cnn", "gru", "lstm", "lstm_attention", "bidirectional_gru", "stacked_lstm", "bidirectional_lstm",
    "deep_lstm",
)  # fmt: skip
BASELINE_NAMES = ("majority", "tfidf_logistic", "nb_svm", "averaged_embeddings")
# Number of configurations that a baseline tries on the validation split: regularization strengths, or learning rates
# (tasks/models/baselines.py).
BASELINE_SEARCHES = {"tfidf_logistic": 4, "nb_svm": 4, "averaged_embeddings": 4}
# A user-defined architecture is named by its module and function, as in `my_models:attention_lstm`.
USER_ARCHITECTURE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
MAX_LABEL_LENGTH = 100  # characters of a label; a longer one would leave no room in a figure
LABELS = {
    "simple_rnn": "Simple RNN",
    "cnn": "CNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "lstm_attention": "LSTM with attention",
    "bidirectional_gru": "Bidirectional GRU",
    "stacked_lstm": "Stacked LSTM",
    "bidirectional_lstm": "Bidirectional LSTM",
    "deep_lstm": "Deep LSTM",
    "majority": "Majority class",
    "tfidf_logistic": "TF-IDF + logistic",
    "nb_svm": "NB-SVM",
    "averaged_embeddings": "Averaged embeddings",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "auc": "AUC",
    "log_loss": "Log-loss",
    "balanced_accuracy": "Balanced accuracy",
    "average_precision": "PR-AUC",
    "brier": "Brier score",
    "ece": "Calibration error",
    "std": "Standard deviation",
    "p_holm": "p (Holm)",
    "train": "Training",
}
# With more than two classes, these are the mean of the scores of each class against all others.
MACRO_AVERAGED = {"precision", "recall", "f1", "auc", "average_precision"}
ACRONYMS = {"rnn", "lstm", "gru", "cnn", "svm", "nb", "auc", "mb", "id", "sha256", "flops", "ms"}


def label(name: str, classes: int = 2) -> str:
    """Return the display name of an architecture, metric or column: `average_loss` becomes `Average loss`.

    A user-defined architecture keeps the name of its function, with the module, because two modules may have a function
    of one name: `my_models:my_gru` becomes `my_gru (my_models)`. The name may come from a file, so control characters
    are escaped and long names are cut.

    Args:
        name: The name.
        classes: Number of classes. With more than two, a metric that is averaged over them is called so: `Macro F1`.
    """
    if classes > 2 and name in MACRO_AVERAGED:
        return f"Macro {label_in_sentence(name)}"
    if name in LABELS:
        return LABELS[name]
    module, colon, function = name.rpartition(":")
    if colon:
        return _cut(escape_terminal(f"{function} ({module})" if module else function, None))
    own = escape_terminal(name, MAX_LABEL_LENGTH)
    words = [word.upper() if word in ACRONYMS else word for word in own.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def label_in_sentence(name: str, classes: int = 2) -> str:
    """Return the display name of a metric as it is written within a sentence: `log-loss`, but `F1`; see `label`."""
    text = label(name, classes)
    return text if text[:2].isupper() or text[1:2].isdigit() else text[:1].lower() + text[1:]


def _cut(text: str) -> str:
    """Cut a long text and add a hash of it, so that two long names with the same beginning stay different."""
    if len(text) <= MAX_LABEL_LENGTH:
        return text
    return f"{text[: MAX_LABEL_LENGTH - 10]}… {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def in_display_order(architectures: Iterable[str]) -> list[str]:
    """Return architectures in the order of reports and figures.

    Built-in ones from simple to deep, then user-defined ones by name, then baselines.
    """
    given = set(architectures)
    user_defined = sorted(given - {*ARCHITECTURE_NAMES, *BASELINE_NAMES})
    return [name for name in (*ARCHITECTURE_NAMES, *user_defined, *BASELINE_NAMES) if name in given]
