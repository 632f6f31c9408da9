"""Prepare stdin, stdout and stderr, so that no character, closed stream or full disk ends in a traceback."""

import codecs
import io
import os
import sys
from typing import TextIO

PLAIN = "plain"  # name of the error handler
# Characters of the output for which ASCII has a readable form.
PLAIN_FORMS = {
    "–": "-", "—": "-", "−": "-", "─": "-", "━": "-", "┌": "+", "└": "+", "│": "|", "±": "+/-", "×": "x", "·": ".",
    "…": "...", "≤": "<=", "≥": ">=", "→": "->", "█": "#", "α": "alpha", "’": "'", "‘": "'", "“": '"', "”": '"',
}  # fmt: skip


def prepare_streams() -> None:
    """Open standard streams that are closed, and replace characters that the encoding of a terminal does not have.

    A descriptor that stays closed would be that of the next file or socket, which then gets the output. A stream that
    is None would send messages for stderr to stdout.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    codecs.register_error(PLAIN, _plain_form)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)


def discard(stream: TextIO) -> None:
    """Send what is left in a stream's buffer to the null device: Python flushes it once more when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _plain_form(error: UnicodeError) -> tuple[str, int]:
    """Return an ASCII form of characters that cannot be encoded: that of `PLAIN_FORMS`, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN_FORMS.get(letter, "?") for letter in letters), error.end
