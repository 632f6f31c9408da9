"""Names of files and folders that are still being written, and a check whether their writer has died.

A results folder may be shared by several hosts and containers, in which the same process id means different processes.
So a name holds the writer's place (host, boot and namespaces) and, within it, the writer's process id and start time:

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

# A writer in another place cannot be observed: what it left counts as abandoned after this time without a change.
FOREIGN_SECONDS = 24 * 3600
# The longest name with this many letters, each of four bytes, still fits into the 255 bytes of a file name.
SHOWN_LETTERS = 40
# Below a results folder nothing is written in deeper folders.
LEVELS = 3
NAME = re.compile(
    r"\..{0,40}\.(?P<place>[0-9a-f]{16})-(?P<pid>\d{1,10})-(?P<start>\d{1,20})-[0-9a-f]{16}\.partial",
    re.ASCII | re.DOTALL,
)
PROC = Path("/proc")


def partial_path(path: Path) -> Path:
    """Return a temporary name for `path`, in the same folder, that nobody can guess."""
    pid = os.getpid()
    owner = f"{_place() or secrets.token_hex(8)}-{pid}-{_start_time(pid) or 0}"
    return path.with_name(f".{path.name[:SHOWN_LETTERS]}.{owner}-{secrets.token_hex(8)}.partial")


def partials(folder: Path, levels: int = LEVELS) -> Iterator[Path]:
    """Yield everything below `folder` that has a name of `partial_path`; links are not followed.

    Args:
        folder: Where to look; what cannot be read in it is left out.
        levels: How many levels of folders to look into.
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
    """Check whether the writer of a path from `partials` will certainly not go on.

    True if the writer was a process of this place that has ended, or if it is of another place and the path has not
    changed for `FOREIGN_SECONDS`. False for what this user does not own, and for what is no file, folder or link.
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
    """Return what two processes share only if they see each other's ids: a hash of 16 hexadecimal digits.

    None where that is not known: on other systems than Linux, or if /proc is of another namespace. The time namespace
    belongs to it because start times depend on it, the host name because the boot id of a cloned machine is the same.
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
    """Return when a process of this place started, in clock ticks since boot; None if it cannot be read."""
    try:
        # The name of the program, in parentheses, may hold spaces; the start time is field 22.
        return int((PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _has_ended(pid: int, start: int) -> bool:
    """Check whether a process of this place has ended; another one may have its id by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OverflowError:  # larger than any id: no name of ours
        return False
    except PermissionError:
        pass
    started = _start_time(pid)
    return started is not None and start != started
