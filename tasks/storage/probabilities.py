"""Columns of predicted probabilities.

Two classes have one column, the probability of class 1. More classes have one column each.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.storage.safe_parquet import check_columns

PROBABILITY = "probability"


def probability_columns(classes: int) -> list[str]:
    """Return the names of the columns of probabilities."""
    return [PROBABILITY] if classes == 2 else [f"{PROBABILITY}_{number}" for number in range(classes)]


def count_classes(columns: Iterable[str]) -> int:
    """Return the number of classes of a table of predictions with these columns.

    Raises:
        ValueError: If there are no columns of probabilities, or not those of the first classes.
    """
    found = {str(name) for name in columns if str(name).startswith(PROBABILITY)}
    classes = 2 if PROBABILITY in found else len(found)
    if classes < 2 or found != set(probability_columns(classes)):
        raise ValueError(f"no columns of the probabilities of 2 or more classes: {sorted(found)}")
    return classes


def check_probability_columns(table: pa.Table, path: Path) -> list[str]:
    """Return the columns of probabilities of a stored table of predictions.

    Raises:
        DamagedFileError: If there are none, not those of the first classes, or they are not numbers.
    """
    try:
        columns = probability_columns(count_classes(table.column_names))
    except ValueError as error:
        raise DamagedFileError(f"{escape_terminal(path)} has {error}") from None
    check_columns(table, dict.fromkeys(columns, "number"), path)
    return columns


def read_probabilities(predictions: pd.DataFrame) -> NDArray[np.floating[Any]]:
    """Return the probabilities of a table of predictions: (rows,) of class 1, or (rows, classes) of more classes."""
    columns = probability_columns(count_classes(predictions.columns))
    return predictions[columns[0]].to_numpy() if len(columns) == 1 else predictions[columns].to_numpy()


def probability_table(probabilities: NDArray[np.floating[Any]]) -> dict[str, NDArray[np.floating[Any]]]:
    """Return the columns of probabilities, (rows,) of class 1 or (rows, classes), by name."""
    if probabilities.ndim == 1:
        return {PROBABILITY: probabilities}
    return dict(zip(probability_columns(probabilities.shape[1]), probabilities.T, strict=True))
