"""Limits of data files.

A small compressed file can unpack to any length, and one wrong quote can turn a whole CSV file into one text. Files
beyond these limits are refused before they are in memory.
"""

from pathlib import Path
from typing import NoReturn

from tasks.config.errors import UserError

# Reviews of a class in each split.
MIN_CLASS_SIZE = 10
MINIMUM = f"the minimum is {MIN_CLASS_SIZE} reviews of each class in each split"
# Characters of a label; a saved run with a longer class name is not read again.
MAX_LABEL_LENGTH = 200
# Characters of a text. The longest of the official reviews has 13,704.
MAX_FIELD_LENGTH = 1_000_000
# Characters of a row of CSV, or of a line of JSON lines.
MAX_ROW_LENGTH = 10_000_000
# Bytes of a text in Parquet; a character has at most four bytes in UTF-8.
MAX_FIELD_BYTES = 4_000_000
# Lists and objects inside one another on a line of JSON lines.
MAX_NESTING = 100
# Rows and unpacked bytes of a file for training, which is in memory as a whole: 10 GB at both limits, measured with
# ASCII texts. A file for prediction is read in batches, so it can have any number of rows.
MAX_ROWS = 3_000_000
MAX_BYTES = 2_000_000_000
# Unpacked bytes of a workbook, whose texts are in memory before the first row is read, and the rows of Excel.
MAX_WORKBOOK_BYTES = 500_000_000
MAX_WORKBOOK_ROWS = 1_048_576
MAX_WORKBOOK_COLUMNS = 1_000
# Unpacked bytes and lines of a file of word vectors, of which only the words of the vocabulary are kept, and bytes of a
# line. The largest public files have three million words and 300 numbers each, in 10 GB, or nine million words.
MAX_VECTOR_BYTES = 20_000_000_000
MAX_VECTOR_LINES = 50_000_000
MAX_VECTOR_LINE = 200_000
# Rows and bytes of a batch.
BATCH_ROWS = 10_000
BATCH_BYTES = 2**25


def raise_beyond_limit(path: Path, limit: str, advice: str) -> NoReturn:
    """Raise the error for a file that is beyond a limit. Reading ends there, so it reports nothing about the rows.

    Raises:
        UserError: Always.
    """
    raise UserError(f"{path} is not read: {limit}. {advice}")


def raise_too_many_rows(path: Path, found: str) -> NoReturn:
    """Raise the error for a training file with more than `MAX_ROWS` rows.

    Raises:
        UserError: Always.
    """
    limit = f"it has {found} rows, and at most {MAX_ROWS:,} can be trained on"
    raise_beyond_limit(path, limit, "Take a sample of them.")


def raise_too_many_bytes(path: Path, limit: float) -> NoReturn:
    """Raise the error for a training file with more than `limit` bytes of text.

    Raises:
        UserError: Always.
    """
    sentence = f"unpacked it has more than the {limit:,} bytes of text that can be trained on"
    raise_beyond_limit(path, sentence, "Take a sample of its rows.")


def raise_field_too_long(path: Path, place: str) -> NoReturn:
    """Raise the error for a text with more than `MAX_FIELD_LENGTH` characters.

    Raises:
        UserError: Always.
    """
    limit = f"a text of {place} has more than {MAX_FIELD_LENGTH:,} characters"
    raise_beyond_limit(path, limit, "Shorten it; if no text is so long, a closing quote is missing before it.")
