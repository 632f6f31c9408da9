"""Read stored Parquet files safely: counts and sizes are checked before any value is read."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.storage.safe_files import LARGEST_FILE

Kind = Literal["text", "number", "time"]

# Rows that are decoded at a time, so that memory beyond the limit is requested at most once.
ROWS_AT_A_TIME = 8_192
# The widest table has 27 columns, or one per architecture.
MOST_COLUMNS = 1_000
# Encodings that this project writes. With others (DELTA_BYTE_ARRAY), a small page can hold any number of long texts.
ENCODINGS = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED", "BYTE_STREAM_SPLIT"}
# BYTE_ARRAY values are measured while they are read. FIXED_LEN_BYTE_ARRAY can have any width and is never written.
PHYSICAL_TYPES = {"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY"}


class Limits(NamedTuple):
    """Limits of a Parquet file.

    Attributes:
        file: Bytes of the file.
        rows: Number of rows.
        memory: Bytes of the decoded table.
    """

    file: int
    rows: int
    memory: int


# Reviews, tokens, and predictions of all trials: a million reviews, or a hundred trials on 100,000 test reviews.
TABLE = Limits(LARGEST_FILE, 50_000_000, 8 * 2**30)
# Histories of trials (two rows per epoch, at most 1,000 epochs), nightly results, and tables of a report.
SMALL_TABLE = Limits(64 * 2**20, 1_000_000, 256 * 2**20)
# At most 65,535 tokens, because token ids have 16 bits.
VOCABULARY = Limits(16 * 2**20, 2**16, 32 * 2**20)


def parquet_schema(content: bytes, path: Path, limits: Limits = TABLE) -> pa.Schema:
    """Return the schema of a Parquet file after a check of its metadata; arguments and errors as `parquet_table`."""
    with _translate_errors(path):
        return _checked_file(content, path, limits, []).schema_arrow


def parquet_table(
    content: bytes, path: Path, limits: Limits = TABLE, columns: Collection[str] | None = None
) -> pa.Table:
    """Return the table in a Parquet file.

    Counts and sizes in the file's metadata are checked before any row is read. A text can be stored once for many rows,
    so text is read as dictionaries and measured before it is decoded.

    Args:
        content: Bytes of the file.
        path: The file, named in messages.
        limits: Limits of the file.
        columns: Names of the columns to read if they exist; None for all.

    Raises:
        DamagedFileError: If it is not a Parquet file, or is beyond a limit.
    """
    with _translate_errors(path):
        schema = _checked_file(content, path, limits, []).schema_arrow
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        texts = [field.name for field in schema if _is_text(field.type)]
        file = _checked_file(content, path, limits, texts)
        batches, size = [], 0
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=columns and schema.names):
            size += sum(_decoded_bytes(column) for column in batch.columns)
            if size > limits.memory:
                raise DamagedFileError(f"{escape_terminal(path)} holds more than {limits.memory:,} bytes of values")
            batches.append(_decoded(batch, schema))
        return pa.Table.from_batches(batches, schema)


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Raise `DamagedFileError` instead of the errors that pyarrow raises for a damaged file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DamagedFileError(f"{escape_terminal(path)} is not a Parquet file") from error


def _checked_file(content: bytes, path: Path, limits: Limits, texts: list[str]) -> pq.ParquetFile:
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True, read_dictionary=texts)
    found = file.metadata
    if found.num_rows > limits.rows:
        raise DamagedFileError(f"{escape_terminal(path)} holds more than {limits.rows:,} rows")
    if found.num_columns > MOST_COLUMNS:
        raise DamagedFileError(f"{escape_terminal(path)} has more than {MOST_COLUMNS:,} columns")
    groups = [found.row_group(number) for number in range(found.num_row_groups)]
    if sum(group.num_rows for group in groups) != found.num_rows:
        raise DamagedFileError(f"{escape_terminal(path)} contradicts itself about its rows")
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    if any(column.physical_type not in PHYSICAL_TYPES or set(column.encodings) - ENCODINGS for column in columns):
        raise DamagedFileError(f"{escape_terminal(path)} has columns of a type that is not used here")
    # A number takes up to 8 bytes in memory, even if the file stores many equal numbers in a few bytes.
    size = sum(max(column.total_uncompressed_size, 8 * column.num_values) for column in columns)
    if size > limits.memory or any(column.num_values < 0 for column in columns):
        raise DamagedFileError(f"{escape_terminal(path)} holds more than {limits.memory:,} bytes of values")
    return file


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _decoded_bytes(column: pa.Array) -> int:
    if not isinstance(column, pa.DictionaryArray):
        return column.nbytes
    lengths = pc.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)
    return int(pc.sum(lengths).as_py() or 0) + 8 * len(column)


def _decoded(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column.dictionary_decode() if isinstance(column, pa.DictionaryArray) and _is_text(field.type) else column
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def as_frame(table: pa.Table, path: Path) -> pd.DataFrame:
    """Return a table as a frame, with the `attrs` in its metadata.

    Raises:
        DamagedFileError: If the metadata do not describe the table.
    """
    try:
        return table.to_pandas()
    except MemoryError:
        raise
    except Exception as error:  # pandas evaluates the metadata and raises errors of many types
        raise DamagedFileError(f"{escape_terminal(path)} has metadata that do not describe it") from error


def check_columns(table: pa.Table, wanted: Mapping[str, Kind], path: Path) -> None:
    """Check that a table has at least some columns of some kinds. A column without values is of every kind.

    Raises:
        DamagedFileError: If a column is missing, not unique or of another kind.
    """
    for name, kind in wanted.items():
        if table.schema.names.count(name) != 1:
            raise DamagedFileError(f"{escape_terminal(path)} has no column {name}, or several")
        found = table.schema.field(name).type
        empty = pa.types.is_null(found) or table[name].null_count == len(table)
        if not empty and not _of_kind(found, kind):
            raise DamagedFileError(f"{escape_terminal(path)}: the column {name} must be of kind {kind}")


def _of_kind(found: pa.DataType, kind: Kind) -> bool:
    if kind == "text":
        return _is_text(found.value_type if pa.types.is_dictionary(found) else found)
    if kind == "time":
        return pa.types.is_date(found) or pa.types.is_timestamp(found)
    return pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_boolean(found)


def check_names(table: pa.Table, columns: tuple[str, ...], path: Path) -> None:
    """Check that all values of some text columns are printable names of 1 to 200 characters.

    Raises:
        DamagedFileError: If a value is missing or not such a name.
    """
    for name in columns:
        values = pc.unique(table[name]).to_pylist()
        if not all(isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200 for value in values):
            where = escape_terminal(path)
            raise DamagedFileError(f"{where}: the column {name} must hold printable names of 1 to 200 characters")
