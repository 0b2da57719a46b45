"""Check of the process that owns the broker's bus name: its user, and its executable."""

from __future__ import annotations

import os
import select
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linuxbroker.bus import NameOwner
from linuxbroker.call.trust.programs import KNOWN_PROGRAMS
from linuxbroker.redaction import texts

_ROOT = 0
_OTHER_NAMESPACE = "this program runs in a container or sandbox and cannot inspect that process"
_ENDED = "the process exited, and another one may be using its connection to the bus"
# Values that the kernel reports instead of the process ID of a descriptor, and their meaning (pidfd_open(2)).
_NO_PID = {None: "the bus passed a file descriptor that is not a process's", 0: _OTHER_NAMESPACE, -1: _ENDED}
_MAX_PATH_SHOWN = 500
_MAX_LINKS = 40  # as in the kernel
_DEFAULT_REMEDY = "set trust='warn' or 'off' (--trust)"
# The executable of such a broker is the Java runtime.
_ON_JAVA = (
    ", which trusts every Java program that you run (Microsoft's broker uses Java up to 2.0.1; a newer one needs no "
    "such option)"
)


@dataclass(frozen=True)
class TrustProblem:
    """The reason why a process is not trusted.

    Attributes:
        executable: the path of its executable, printable; empty if it is unknown.
        reason: the reason, in words.
        remedy: what to do if the process is the broker, as part of a sentence.
    """

    executable: str
    reason: str
    remedy: str = field(default=_DEFAULT_REMEDY, compare=False)


def find_trust_problem(owner: NameOwner, programs: Sequence[str] = ()) -> TrustProblem | None:
    """Look for a reason not to trust the owner of the broker's name.

    A process is trusted if its executable is a known broker program, and if root owns the executable and each directory
    above it, and only root can write to them. A process that runs as root is trusted by a user who is not root.
    If the bus passed a process descriptor, the checked process must be that one, not a later one with the same ID.

    A program is identified by its path alone. The records of dpkg or rpm are not consulted: a user who can create a
    file owned by root at that path can change the records too, and they do not describe the file's present contents.

    Args:
        owner: the owner that the bus reports.
        programs: absolute paths of programs to trust besides the known ones. An interpreter among them, such as Python
            or Java, is trusted with whatever it runs.

    Returns:
        The first problem found, or None.
    """
    if owner.pid is None or owner.uid is None:
        return TrustProblem("", "the bus does not report which process it is")
    if not owner.same_namespaces:
        return TrustProblem("", _OTHER_NAMESPACE)
    if owner.uid == _ROOT and os.geteuid() != _ROOT:
        return None
    if owner.uid not in (_ROOT, os.geteuid()):
        return TrustProblem("", f"it runs as user ID {owner.uid}, which is neither yours nor root's")
    try:
        if owner.descriptor is not None and (reason := _check_descriptor(owner.pid, owner.descriptor)):
            return TrustProblem("", reason)
        problem = _check_executable(Path("/proc", str(owner.pid), "exe"), programs)
    except FileNotFoundError:
        return TrustProblem("", _ENDED)
    except OSError as error:
        return TrustProblem("", f"its executable cannot be inspected ({error.strerror})")
    # The ID of a process that still runs was not reused, so the checked process is that one.
    return TrustProblem("", _ENDED) if owner.descriptor is not None and _has_ended(owner.descriptor) else problem


def _check_descriptor(pid: int, descriptor: int) -> str | None:
    """Compare the process ID that the bus reports with that of the process descriptor."""
    try:
        fields = Path("/proc/self/fdinfo", str(descriptor)).read_bytes().splitlines()
    except FileNotFoundError:
        return "the process descriptor from the bus cannot be inspected: there is no /proc"
    found = next((int(line[4:]) for line in fields if line.startswith(b"Pid:")), None)
    if found == pid:
        return None
    return _NO_PID.get(found, f"the bus reports process {pid}, but passed the descriptor of process {found}")


def _has_ended(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _check_executable(link: Path, programs: Sequence[str]) -> TrustProblem | None:
    # The kernel reports the path of the file itself, without the links that it was started by.
    executable = link.readlink()
    shown = _printable_path(executable)
    if not _is_at(executable, link.stat()):
        return TrustProblem(
            shown, "its executable is no longer the file at that path; after an update, restart the broker"
        )
    for path in (executable, *executable.parents):
        if reason := _check_path(path):
            return TrustProblem(shown, reason)
    if not _is_listed(executable, programs):
        remedy = f"allow it with trusted_programs=[{shown!r}] (--trusted-program {shlex.quote(shown)})"
        if executable.name == "java":
            remedy += _ON_JAVA
        return TrustProblem(shown, "its executable is not a known broker program", remedy)
    return None


def _is_listed(executable: Path, programs: Sequence[str]) -> bool:
    """Whether an executable, by the path that the kernel reports, is listed, or a listed path leads to it."""
    listed = [Path(path) for path in (*programs, *(program.path for program in KNOWN_PROGRAMS))]
    return executable in listed or any(_leads_to(path, executable) for path in listed)


def _leads_to(path: Path, executable: Path, links: int = _MAX_LINKS) -> bool:
    """Whether a path leads to an executable by links that only root can change."""
    try:
        for part in (*reversed(path.parents), path):
            if _check_path(part):
                return False
            if part.is_symlink():
                target = os.path.normpath(part.parent / part.readlink() / path.relative_to(part))
                return links > 0 and _leads_to(Path(target), executable, links - 1)
    except OSError:
        return False
    return path == executable


def _is_at(path: Path, file: os.stat_result) -> bool:
    """Whether a file is at a path: not if it was deleted or replaced, or is in another mount namespace."""
    try:
        return path.is_absolute() and os.path.samestat(path.lstat(), file)
    except OSError:
        return False


def _check_path(path: Path) -> str | None:
    """Find out why users other than root can change a file, a link or a directory, if they can."""
    shown, status = _printable_path(path), path.lstat()
    if status.st_uid != _ROOT:
        return f"{shown} belongs to user ID {status.st_uid}, not to root"
    if stat.S_ISLNK(status.st_mode):
        return None  # a link has no mode of its own: changing it requires write access to its directory
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return None  # as in /tmp: only root can remove or replace root's files
    # This covers access control lists: the group bits are then the most that a list grants to anyone.
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return f"{shown} is writable by users other than root" if writable else None


def _printable_path(path: Path) -> str:
    return texts.shown(str(path), _MAX_PATH_SHOWN)
