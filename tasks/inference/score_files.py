"""Scoring of files: read texts, predict and write a few thousand rows at a time, so that a file may have any length."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import FileFormat
from tasks.data.files import DEFAULT_FORMAT, read_rows
from tasks.data.labels import USUAL_CLASSES
from tasks.inference.predictor import Predictor, prediction_columns
from tasks.reporting.tabular import guard_formula
from tasks.storage.atomic_files import replace_file

BATCH_ROWS = 4_000
# The output is an ordinary file of the user and not a part of the results, so the umask sets its permissions.
OUTPUT_MODE = 0o666
NO_TEXT = "no text"
WriteRows = Callable[[pd.DataFrame], None]


def score_file(
    predictor: Predictor,
    path: Path,
    output: Path,
    *,
    text_column: str = "text",
    keep: tuple[str, ...] = (),
    file_format: FileFormat = DEFAULT_FORMAT,
    on_rows: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Predict every text of a file and write the predictions to another file, completely or not at all.

    Args:
        predictor: Trained models.
        path: A file as for `read_reviews`.
        output: `.parquet` or `.csv` file; an existing one is replaced. Its columns are place (line number, or row
            number of a Parquet file), the text column, those to keep (as text), and `prediction_columns`. A blank text
            has no prediction.
        text_column: Column of the texts.
        keep: Columns that are copied to the output.
        file_format: How to read the file, where its content does not tell.
        on_rows: Called with the number of rows that are done.

    Returns:
        Number of rows by predicted label; blank texts are counted as `NO_TEXT`.

    Raises:
        UserError: If a file or a column cannot be used.
    """
    check_output(path, output, (text_column, *keep), predictor.classes)
    counts: dict[str, int] = {}
    columns = [text_column, *(name for name in keep if name != text_column)]
    schema = _output_schema(columns, prediction_columns(predictor.classes))
    with WRITERS[output.suffix.lower()](output, schema) as write:
        for rows in read_rows(path, columns, BATCH_ROWS, file_format):
            predicted = predict_rows(predictor, pd.DataFrame(rows), text_column)
            write(predicted[schema.names])
            for label, number in predicted["label"].fillna(NO_TEXT).value_counts().items():
                counts[str(label)] = counts.get(str(label), 0) + int(number)
            on_rows(sum(counts.values()))
    return counts


def format_counts(counts: dict[str, int], output: Path) -> str:
    """Format the number of rows by predicted label as a sentence."""
    parts = ", ".join(f"{number:,} {label}" for label, number in sorted(counts.items()))
    return escape_terminal(f"{sum(counts.values()):,} rows: {parts or 'none'}. Predictions: {output}")


def check_output(path: Path, output: Path, columns: tuple[str, ...], classes: Sequence[str] = USUAL_CLASSES) -> None:
    """Check that the output can be written, before any work.

    Args:
        path: Input file.
        output: Output file.
        columns: Columns of the input that are copied to the output.
        classes: Names of the classes; two of any name before the model is known.

    Raises:
        UserError: If it cannot be written.
    """
    if output.suffix.lower() not in WRITERS:
        raise UserError(f"output: received {str(output)[:300]!r}. Give a file that ends in {' or '.join(WRITERS)}.")
    if not output.parent.is_dir():
        raise UserError(f"output: the folder {str(output.parent)[:300]!r} does not exist. Create it or name another.")
    if output.exists() and path.exists() and output.samefile(path):
        raise UserError(f"output: {str(output)!r} is the input file. Name another file.")
    if reserved := set(columns) & {"place", *prediction_columns(classes)}:
        raise UserError(f"columns {', '.join(sorted(reserved))}: the output has columns of that name. Rename them.")


def predict_rows(predictor: Predictor, rows: pd.DataFrame, text_column: str) -> pd.DataFrame:
    """Return rows with the columns `prediction_columns`, which are missing for a blank text."""
    texts = rows[text_column].map(lambda value: _text_or_none(value) or "")
    has_text = texts.str.strip() != ""
    predictions = pd.DataFrame(index=rows.index, columns=prediction_columns(predictor.classes))
    if has_text.any():
        predictions[has_text] = predictor.predict(texts[has_text].tolist()).to_numpy()
    return pd.concat([rows, predictions], axis=1)


def _output_schema(columns: list[str], predictions: list[str]) -> pa.Schema:
    label, *numbers = predictions
    texts = [(name, pa.large_string()) for name in (*columns, label)]
    return pa.schema([("place", pa.int64()), *texts, *((name, pa.float64()) for name in numbers)])


def _text_or_none(value: Any) -> str | None:
    return None if _is_missing(value) else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # NaN


@contextmanager
def _write_parquet(output: Path, schema: pa.Schema) -> Iterator[WriteRows]:
    with (
        replace_file(output, OUTPUT_MODE) as target,
        pq.ParquetWriter(target, schema, write_page_checksum=True) as file,
    ):

        def write(rows: pd.DataFrame) -> None:
            texts = {
                field.name: rows[field.name].map(_text_or_none) for field in schema if field.type == pa.large_string()
            }
            file.write_table(pa.Table.from_pandas(rows.assign(**texts), schema=schema, preserve_index=False))

        yield write


@contextmanager
def _write_csv(output: Path, schema: pa.Schema) -> Iterator[WriteRows]:
    with replace_file(output, OUTPUT_MODE) as target:
        file = io.TextIOWrapper(target, encoding="utf-8-sig", newline="")  # the mark is for Excel
        lines = csv.writer(file, lineterminator="\r\n")
        lines.writerow([guard_formula(name) for name in schema.names])

        def write(rows: pd.DataFrame) -> None:
            for row in rows.itertuples(index=False):
                lines.writerow(["" if _is_missing(value) else guard_formula(value) for value in row])

        yield write
        file.detach()  # flushes; `target` stays open


WRITERS: dict[str, Callable[[Path, pa.Schema], AbstractContextManager[WriteRows]]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
}
