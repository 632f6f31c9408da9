"""Mean squares of a two-way layout, computed by least squares."""

import numpy as np

# Two seeds by seven reviews.
TABLE = np.array([[1.0, 4.0, 2.0, 0.0, 3.0, 5.0, 6.0], [2.0, 6.0, 2.0, 1.0, 7.0, 5.0, 5.0]])


def mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Compute the mean squares of rows, columns and the rest by least squares on indicator variables."""
    rows, columns = table.shape
    row, column = (index.ravel() for index in np.indices(table.shape))
    ones = np.ones((table.size, 1))
    by_row, by_column = np.eye(rows)[row][:, 1:], np.eye(columns)[column][:, 1:]

    def residual_squares(*design: np.ndarray) -> float:
        matrix = np.hstack([ones, *design])
        return float(np.square(table.ravel() - matrix @ np.linalg.lstsq(matrix, table.ravel())[0]).sum())

    rest = residual_squares(by_row, by_column)
    return (
        (residual_squares(by_column) - rest) / (rows - 1),
        (residual_squares(by_row) - rest) / (columns - 1),
        rest / ((rows - 1) * (columns - 1)),
    )
