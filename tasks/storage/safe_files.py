"""Read stored files safely: regular files only, within limits that are checked before anything is read.

A results directory or an exported model may have been copied, damaged or edited. Reading a file of it returns checked
data or raises `DamagedFileError`. The messages contain the file and the rule, never the content of the file.
"""

import os
import stat
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from tasks.config.errors import DamagedFileError, MissingFileError
from tasks.config.escape import escape_terminal

Model = TypeVar("Model", bound=BaseModel)

# Limits in bytes. Any file that is read into memory: a million reviews are about 0.6 GB, their tokens 0.4 GB.
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


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters or line breaks")
    return text


# Name of a class, run or architecture, which is printed on terminals.
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


def read_limited(path: Path, limit: int) -> bytes:
    """Return the content of a regular local file.

    Its parent directories may be symbolic links; the file itself must not be one.

    Args:
        path: The file.
        limit: Maximum number of bytes.

    Raises:
        MissingFileError: If it does not exist.
        DamagedFileError: If it is larger, cannot be read, or is not a regular file (a link, directory, pipe, …).
    """
    try:
        # Checked before it is opened, because opening a device can have effects, and a pipe waits for its writer.
        _check_regular(path, path.lstat(), limit)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # of a descriptor
            _check_regular(path, os.fstat(descriptor), limit)  # another file may have replaced it
            content = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f"{escape_terminal(path)} does not exist") from error
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
    """Return validated JSON.

    Args:
        content: Bytes of limited length.
        model: Type of the content. Nesting is limited by pydantic's parser.
        path: File of the content, named in messages.

    Raises:
        DamagedFileError: If the content is not JSON, or not valid.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None


def reasons(error: ValidationError) -> str:
    """Return the first three problems of a validation error, without the received values."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    fields = [".".join(map(str, each["loc"])) for each in problems[:3]]
    shown = [f"{field!r:.80}: {each['msg']:.200}" if field else f"{each['msg']:.200}"
             for field, each in zip(fields, problems, strict=False)]  # fmt: skip
    return "; ".join([*shown, *([f"{len(problems) - 3} more"] if len(problems) > 3 else [])])
