"""A program in a pseudo-terminal, and the text that its output leaves on the screen."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.conftest import ROOT

# A control sequence that starts with ESC [, or a single character.
PIECE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(.)", re.DOTALL)


@dataclass(frozen=True)
class Session:
    """An ended program.

    Attributes:
        code: Its exit code, negative for a signal.
        output: What it wrote to the terminal.
    """

    code: int
    output: str


def run_in_terminal(
    command: list[str],
    *,
    columns: int = 80,
    rows: int = 24,
    environment: Mapping[str, str] | None = None,
    interrupt: Callable[[str], bool] = lambda output: False,
    seconds: float = 120,
) -> Session:
    """Run a command with a pseudo-terminal as stdin, stdout and stderr.

    Args:
        command: The program and its arguments.
        columns: Width of the terminal.
        rows: Height of the terminal.
        environment: Variables in addition to those of this process.
        interrupt: Called with the output so far; Ctrl-C is typed once when it returns True.
        seconds: Time limit, after which the program is killed.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        command, cwd=ROOT, env={"TERM": "xterm-256color", **os.environ, **(environment or {})},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(slave)
    output, interrupted, deadline = b"", False, time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                chunk = os.read(master, 1 << 16)
            except OSError:  # Linux's end of file
                break
            if not chunk:
                break
            output += chunk
        if not interrupted and interrupt(output.decode(errors="replace")):
            interrupted = True
            os.write(master, b"\x03")
    if time.monotonic() >= deadline:
        process.kill()
    os.close(master)
    return Session(process.wait(timeout=30), output.decode(errors="replace"))


def _take_terminal() -> None:
    """Make the pseudo-terminal the controlling one, so that Ctrl-C becomes SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read_screen(output: str) -> list[str]:
    """Return the lines that output leaves on a terminal of unlimited size, without colors.

    Understands line breaks, carriage returns, and the sequences that move the cursor up and that erase a line.
    """
    lines: list[list[str]] = [[]]
    row = column = 0
    for arguments, command, letter in PIECE.findall(output):
        if letter == "\n":
            row += 1
            lines += [[] for _ in range(row + 1 - len(lines))]
        elif letter == "\r":
            column = 0
        elif letter:
            line = lines[row]
            line += [" "] * (column + 1 - len(line))
            line[column] = letter
            column += 1
        elif command == "A":
            row = max(0, row - int(arguments or 1))
        elif command == "K":
            lines[row] = []
    return ["".join(line).rstrip() for line in lines]
