"""Names of partial files and directories, and a check whether the process that writes them has died.

A results directory may be shared by several hosts and containers, where the same process id means different processes.
So the name contains the writer's place (host, boot and namespaces), process id and start time:

    .<name>.<place>-<pid>-<start time>-<random>.partial
"""

import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

# A writer in another place cannot be observed. Its files count as abandoned after this time without a change.
FOREIGN_SECONDS = 24 * 3600
# With this many characters of at most four bytes, the name fits into the 255 bytes of a file name.
SHOWN_LETTERS = 40
# Depth of the directories of a results directory.
LEVELS = 3
NAME = re.compile(
    r"\..{0,40}\.(?P<place>[0-9a-f]{16})-(?P<pid>\d{1,10})-(?P<start>\d{1,20})-[0-9a-f]{16}\.partial",
    re.ASCII | re.DOTALL,
)
PROC = Path("/proc")


def partial_path(path: Path) -> Path:
    """Return a temporary name for `path` in the same directory, which cannot be guessed."""
    pid = os.getpid()
    owner = f"{_place() or secrets.token_hex(8)}-{pid}-{_start_time(pid) or 0}"
    return path.with_name(f".{path.name[:SHOWN_LETTERS]}.{owner}-{secrets.token_hex(8)}.partial")


def partials(folder: Path, levels: int = LEVELS) -> Iterator[Path]:
    """Yield all partial files and directories below a directory; links are not followed.

    Args:
        folder: The directory. Unreadable directories in it are skipped.
        levels: Depth of the search.
    """
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError:
        return
    for entry in entries:
        if NAME.fullmatch(entry.name):
            yield Path(entry.path)
        elif levels and _is_folder(entry):
            yield from partials(Path(entry.path), levels - 1)


def is_abandoned(path: Path) -> bool:
    """Return whether the writer of a path from `partials` has certainly ended.

    True if the writer was a process of this place that has ended, or if it is of another place and the path has not
    changed for `FOREIGN_SECONDS`. False if another user owns the path, or it is not a file, directory or link.
    """
    named = NAME.fullmatch(path.name)
    try:
        status = path.lstat()
    except OSError:
        return False
    if not named or status.st_uid != os.geteuid() or not _may_be_ours(status.st_mode):
        return False
    if named["place"] == _place():
        return _has_ended(int(named["pid"]), int(named["start"]))
    return time.time() - status.st_mtime > FOREIGN_SECONDS


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _may_be_ours(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _place() -> str | None:
    """Return a hash (16 hexadecimal digits) that two processes share only if they see each other's process ids.

    None if it is unknown: on systems other than Linux, or if /proc belongs to another namespace. The time namespace is
    included because start times depend on it, the host name because cloned machines have the same boot id.
    """
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text()
        own = PROC / "self"
        if own.readlink().name != str(os.getpid()):
            return None
        namespaces = [str((own / "ns/pid").readlink())]
        if (own / "ns/time").is_symlink():  # since Linux 5.6
            namespaces.append(str((own / "ns/time").readlink()))
    except OSError:
        return None
    return hashlib.sha256("\0".join([os.uname().nodename, boot, *namespaces]).encode()).hexdigest()[:16]


def _start_time(pid: int) -> int | None:
    """Return the start time of a process of this place in clock ticks since boot; None if it cannot be read."""
    try:
        # The name of the program, in parentheses, may contain spaces. The start time is field 22.
        return int((PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _has_ended(pid: int, start: int) -> bool:
    """Return whether a process of this place has ended; another one may have its id by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OverflowError:  # larger than any process id, so not a name of this project
        return False
    except PermissionError:
        pass
    started = _start_time(pid)
    return started is not None and start != started
