"""A file of texts, read, answered and written a few thousand rows at a time, so that any number of rows will do."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.data.files import read_rows
from tasks.inference.predictor import Predictor
from tasks.reporting.tabular import guard_formula
from tasks.storage.store import replacing

ROWS_AT_A_TIME = 4_000
# The output is an ordinary file where the user asked for it, not a part of the results: the umask decides who reads it.
OUTPUT_MODE = 0o666
ANSWER = ("label", "probability", "unknown")
Write = Callable[[pd.DataFrame], None]


def score_file(
    predictor: Predictor,
    path: Path,
    output: Path,
    *,
    text_column: str = "text",
    keep: tuple[str, ...] = (),
    on_rows: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Answer every text of a file, and write the answers, whole or not at all.

    Args:
        predictor: What answers.
        path: CSV, Parquet or JSON lines, as for `read_reviews`.
        output: `.parquet` or `.csv`; what lies there is replaced. Columns: place (line, or row of a Parquet file), the
            texts', those to keep (as text), label, probability, unknown. A blank text has no answer.
        text_column: Where the texts are.
        keep: Columns that are copied to the output, an id perhaps.
        on_rows: Called with the number of rows done.

    Returns:
        Rows, by label; those without text under `no text`.

    Raises:
        UserError: Where anything is wrong with a file or its name.
    """
    check_output(path, output, (text_column, *keep))
    counts: dict[str, int] = {}
    columns = [text_column, *(name for name in keep if name != text_column)]
    schema = _schema(columns)
    with WRITERS[output.suffix.lower()](output, schema) as write:
        for rows in read_rows(path, columns, ROWS_AT_A_TIME):
            answered = answer_rows(predictor, pd.DataFrame(rows), text_column)
            write(answered[schema.names])
            for label, number in answered["label"].fillna("no text").value_counts().items():
                counts[str(label)] = counts.get(str(label), 0) + int(number)
            on_rows(sum(counts.values()))
    return counts


def said(counts: dict[str, int], output: Path) -> str:
    """Say in a sentence how many rows were given which answer."""
    parts = ", ".join(f"{number:,} {label}" for label, number in sorted(counts.items()))
    return escape_terminal(f"{sum(counts.values()):,} rows: {parts or 'nothing'}. Answers: {output}")


def check_output(path: Path, output: Path, columns: tuple[str, ...]) -> None:
    """Refuse, before any work, what cannot be written.

    Raises:
        UserError: Saying why not.
    """
    if output.suffix.lower() not in WRITERS:
        raise UserError(f"output: received {str(output)[:300]!r}. Give a file that ends in {' or '.join(WRITERS)}.")
    if not output.parent.is_dir():
        raise UserError(f"output: there is no folder {str(output.parent)[:300]!r}. Make it, or name another.")
    if output.exists() and path.exists() and output.samefile(path):
        raise UserError(f"output: {str(output)!r} is the file that is read. Name another.")
    if twice := set(columns) & {"place", *ANSWER}:
        raise UserError(f"columns {', '.join(sorted(twice))}: the output has its own of that name. Rename them.")


def answer_rows(predictor: Predictor, rows: pd.DataFrame, text_column: str) -> pd.DataFrame:
    """Add label, probability and unknown to rows; missing where the text is blank."""
    texts = rows[text_column].map(lambda value: _or_none(value) or "")
    there = texts.str.strip() != ""
    answers = pd.DataFrame(index=rows.index, columns=list(ANSWER))
    if there.any():
        answers[there] = predictor.predict(texts[there].tolist()).to_numpy()
    return rows.assign(**{name: answers[name] for name in ANSWER})


def _schema(columns: list[str]) -> pa.Schema:
    texts = [(name, pa.large_string()) for name in columns]
    answer = [("label", pa.large_string()), ("probability", pa.float64()), ("unknown", pa.float64())]
    return pa.schema([("place", pa.int64()), *texts, *answer])


@contextmanager
def _parquet(output: Path, schema: pa.Schema) -> Iterator[Write]:
    with replacing(output, OUTPUT_MODE) as whole, pq.ParquetWriter(whole, schema, write_page_checksum=True) as file:

        def write(rows: pd.DataFrame) -> None:
            texts = {name: rows[name].map(_or_none) for name in schema.names[1:-3]}
            file.write_table(pa.Table.from_pandas(rows.assign(**texts), schema=schema, preserve_index=False))

        yield write


def _or_none(value: Any) -> str | None:
    return None if value is None or value != value else str(value)


@contextmanager
def _csv(output: Path, schema: pa.Schema) -> Iterator[Write]:
    with replacing(output, OUTPUT_MODE) as whole:
        file = io.TextIOWrapper(whole, encoding="utf-8", newline="")
        lines = csv.writer(file, lineterminator="\r\n")
        lines.writerow([guard_formula(name) for name in schema.names])

        def write(rows: pd.DataFrame) -> None:
            for row in rows.itertuples(index=False):
                lines.writerow(["" if value is None or value != value else guard_formula(value) for value in row])

        yield write
        file.detach()  # writes what is left; `whole` stays open


WRITERS: dict[str, Callable[[Path, pa.Schema], AbstractContextManager[Write]]] = {".parquet": _parquet, ".csv": _csv}
