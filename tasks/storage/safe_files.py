"""Read stored files safely: regular files only, within limits that are checked before anything is read.

A results folder or an exported model may have been copied, damaged or edited. Whatever lies in it, reading it returns
checked data or raises `DamagedFileError`. The messages name the file and the rule, never the content of the file.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal

Model = TypeVar("Model", bound=BaseModel)
Kind = Literal["text", "number", "time"]

# Any file that is read into memory as a whole: a million reviews are about 0.6 GB, their tokens 0.4 GB.
LARGEST_FILE = 4 * 2**30
# A SHA-256 in hexadecimal, two blanks and a file name; file systems allow names of 255 bytes.
LARGEST_CHECKSUM = 1_000
# run.json: about 3 kB, and a line for each training that failed.
LARGEST_RUN_INFO = 4_000_000
# model.json: about 1 kB.
LARGEST_CARD = 1_000_000
# `latest` in a bucket: the name of a run.
LARGEST_NAME = 1_000
# The central directory of an archive: about 60 bytes a file, and an archive holds some 20 files.
LARGEST_DIRECTORY = 1_000_000
# Rows that are decoded at a time: memory beyond the limit is asked for at most once.
ROWS_AT_A_TIME = 8_192
# The widest table has 27 columns, or one an architecture.
MOST_COLUMNS = 1_000
# What pyarrow writes here. The others (DELTA_BYTE_ARRAY) let a small page hold any number of long texts.
ENCODINGS = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"}
# BYTE_ARRAY values are measured while they are read; FIXED_LEN_BYTE_ARRAY could be of any width, and is never written.
PHYSICAL_TYPES = {"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY"}


class Limits(NamedTuple):
    """The most that a Parquet file may hold."""

    file: int  # bytes
    rows: int
    memory: int  # bytes of the decoded table


# Reviews, tokens, and predictions of all trials: a million reviews, or a hundred trials on 100,000 test reviews.
TABLE = Limits(LARGEST_FILE, 50_000_000, 8 * 2**30)
# History of a trial (two rows an epoch, at most 1,000 epochs), nightly results, and tables of a report.
SMALL_TABLE = Limits(64 * 2**20, 1_000_000, 256 * 2**20)
# At most 65,535 words: tokens are 16-bit numbers.
VOCABULARY = Limits(16 * 2**20, 2**16, 32 * 2**20)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters or line breaks")
    return text


# Names of classes, runs and architectures: they are printed on terminals.
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


def read_limited(path: Path, limit: int) -> bytes:
    """Return the content of a regular local file.

    Folders on the way may be symbolic links; the file itself must not be one.

    Args:
        path: The file.
        limit: The most bytes it may have.

    Raises:
        FileNotFoundError: If there is none.
        DamagedFileError: If it is larger, cannot be read, or is no regular file (a link, folder, pipe, device, …).
    """
    try:
        # Opening alone can have effects: a device may act, and a pipe waits for its writer.
        _check_regular(path, path.lstat(), limit)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # of a descriptor
            _check_regular(path, os.fstat(descriptor), limit)  # what was opened may be another file by now
            content = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{escape_terminal(path)} does not exist") from error
    except OSError as error:
        raise DamagedFileError(f"{escape_terminal(path)} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


def _check_regular(path: Path, found: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise DamagedFileError(f"{escape_terminal(path)} is {kind}")
    if found.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> DamagedFileError:
    return DamagedFileError(f"{escape_terminal(path)} is larger than {limit:,} bytes")


def json_model(content: bytes, model: type[Model], path: Path) -> Model:
    """Return checked JSON.

    Args:
        content: Bytes of limited length.
        model: What it must hold. Nesting is limited by pydantic's parser.
        path: Named in the message.

    Raises:
        DamagedFileError: If it is no JSON, or not what the model describes.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None


def reasons(error: ValidationError) -> str:
    """Return the first three reasons of a validation error, without what was received."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    places = [".".join(map(str, each["loc"])) for each in problems[:3]]
    said = [f"{place!r:.80}: {each['msg']:.200}" if place else f"{each['msg']:.200}"
            for place, each in zip(places, problems, strict=False)]  # fmt: skip
    return "; ".join([*said, *([f"{len(problems) - 3} more"] if len(problems) > 3 else [])])


def parquet_schema(content: bytes, path: Path, limits: Limits = TABLE) -> pa.Schema:
    """Return the schema of a Parquet file, whose metadata are checked; arguments and errors as of `parquet_table`."""
    with _as_damage(path):
        return _checked_file(content, path, limits, []).schema_arrow


def parquet_table(content: bytes, path: Path, limits: Limits = TABLE) -> pa.Table:
    """Return the table in a Parquet file.

    Counts and sizes in the file's metadata are checked before any row is read. Text can be stored once for many rows,
    so its size is known only from the values: it is read as dictionaries, and measured before it is spelled out.

    Args:
        content: The file.
        path: Named in the message.
        limits: The most that it may hold.

    Raises:
        DamagedFileError: If it is no Parquet file, or holds more.
    """
    with _as_damage(path):
        schema = _checked_file(content, path, limits, []).schema_arrow
        texts = [field.name for field in schema if _is_text(field.type)]
        file = _checked_file(content, path, limits, texts)
        batches, size = [], 0
        for batch in file.iter_batches(ROWS_AT_A_TIME):
            size += sum(_decoded_bytes(column) for column in batch.columns)
            if size > limits.memory:
                raise DamagedFileError(f"{escape_terminal(path)} holds more than {limits.memory:,} bytes of values")
            batches.append(_spelled_out(batch, schema))
        return pa.Table.from_batches(batches, schema)


@contextmanager
def _as_damage(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises on a broken file into `DamagedFileError`."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DamagedFileError(f"{escape_terminal(path)} is no Parquet file") from error


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
    # Numbers take at most 8 bytes each, however few bytes of the file stand for them.
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


def _spelled_out(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
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
    except Exception as error:  # pandas evaluates the metadata, and raises errors of many kinds
        raise DamagedFileError(f"{escape_terminal(path)} has metadata that do not describe it") from error


def check_columns(table: pa.Table, wanted: Mapping[str, Kind], path: Path) -> None:
    """Check that a table has at least these columns, of these kinds; one without any value is of every kind.

    Raises:
        DamagedFileError: Naming the first that is missing or wrong.
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
    """Check that each value in these text columns is there, printable, and of 1 to 200 characters.

    Raises:
        DamagedFileError: Naming the column.
    """
    for name in columns:
        values = pc.unique(table[name]).to_pylist()
        if not all(isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200 for value in values):
            where = escape_terminal(path)
            raise DamagedFileError(f"{where}: the column {name} must hold printable names of 1 to 200 characters")
