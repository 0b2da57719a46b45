"""Whether the process that owns the broker's name is one to trust with a password: what its executable says of it."""

from __future__ import annotations

import os
import select
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linuxbroker import texts
from linuxbroker.bus import NameOwner
from linuxbroker.trust.programs import KNOWN_PROGRAMS

_ROOT = 0
_ELSEWHERE = "this program runs in a container or a sandbox, from which that process can't be looked at"
_ENDED = "it has ended: something else may be using its connection to the bus"
# What the kernel gives as the id of a descriptor's process, and what it means where it is none (pidfd_open(2)).
_NO_ID = {None: "the bus passed a descriptor that is no process's", 0: _ELSEWHERE, -1: _ENDED}
_LONGEST_PATH_SHOWN = 500
_MOST_LINKS = 40  # as the kernel follows
_NO_OTHER_REMEDY = "choose trust='warn' or 'off' (--trust)"
# Its process is the Java runtime.
_ON_JAVA = (
    ", which trusts every Java program of yours (Microsoft's broker runs on Java up to 2.0.1: a newer one need not be "
    "allowed)"
)


@dataclass(frozen=True)
class Doubt:
    """Why a process is not trusted.

    Attributes:
        executable: its executable, fit to be shown; empty where it can't be seen.
        reason: what is wrong, in words.
        remedy: what to do where it is the broker all the same, as part of a sentence.
    """

    executable: str
    reason: str
    remedy: str = field(default=_NO_OTHER_REMEDY, compare=False)


def doubt(owner: NameOwner, programs: Sequence[str] = ()) -> Doubt | None:
    """Look for a reason not to trust the owner of the broker's name.

    A process is trusted when its executable is one of the brokers' programs, when it and each directory above it belong
    to root, and when nobody else can write to them. An owner that runs as root is trusted by a user who is not root.
    Where there is a descriptor of the process, what is looked at must be that process, and no later one of the same id.

    A program is known by its path alone. That dpkg or rpm knows of it is not asked: whoever can put a file of root's at
    that path can change their records too, and the records tell nothing of a file's contents now.

    Args:
        owner: as the bus tells it.
        programs: absolute paths of programs that are the brokers' besides those that are known. An interpreter among
            them, such as Python or Java, is trusted with whatever it runs.

    Returns:
        The first reason found, or None.
    """
    if owner.pid is None or owner.uid is None:
        return Doubt("", "the bus does not tell which process it is")
    if not owner.counts_as_here:
        return Doubt("", _ELSEWHERE)
    if owner.uid == _ROOT and os.geteuid() != _ROOT:
        return None
    if owner.uid not in (_ROOT, os.geteuid()):
        return Doubt("", f"it runs as user id {owner.uid}, which is neither yours nor root")
    try:
        if owner.descriptor is not None and (reason := _doubt_about_id(owner.pid, owner.descriptor)):
            return Doubt("", reason)
        found = _doubt_about_executable(Path("/proc", str(owner.pid), "exe"), programs)
    except FileNotFoundError:
        return Doubt("", _ENDED)
    except OSError as error:
        return Doubt("", f"its executable can't be looked at ({error.strerror})")
    # A process that still runs had its id all the time: what was looked at was that process.
    return Doubt("", _ENDED) if owner.descriptor is not None and _has_ended(owner.descriptor) else found


def _doubt_about_id(told: int, descriptor: int) -> str | None:
    """Whether the id that the bus tells is not that of the process which a descriptor stands for."""
    try:
        fields = Path("/proc/self/fdinfo", str(descriptor)).read_bytes().splitlines()
    except FileNotFoundError:
        return "what the bus passed can't be looked at: there is no /proc"
    found = next((int(line[4:]) for line in fields if line.startswith(b"Pid:")), None)
    if found == told:
        return None
    return _NO_ID.get(found, f"the bus tells process {told}, and passed the descriptor of process {found}")


def _has_ended(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(0))


def _doubt_about_executable(link: Path, programs: Sequence[str]) -> Doubt | None:
    # The kernel gives the path of the file itself: links that led there, when it was started, play no part any more.
    executable = link.readlink()
    shown = _shown(executable)
    if not _is_at(executable, link.stat()):
        return Doubt(
            shown, "its executable is not the file of that name now; after an update of the broker, restart the broker"
        )
    for place in (executable, *executable.parents):
        if reason := _doubt_about_place(place):
            return Doubt(shown, reason)
    if not _is_brokers(executable, programs):
        remedy = f"allow it with trusted_programs=[{shown!r}] (--trusted-program {shlex.quote(shown)})"
        if executable.name == "java":
            remedy += _ON_JAVA
        return Doubt(shown, "it is no program of a broker that is known", remedy)
    return None


def _is_brokers(executable: Path, programs: Sequence[str]) -> bool:
    """Whether a program, by the path that the kernel gives, is one that a list names or leads to."""
    listed = [Path(path) for path in (*programs, *(program.path for program in KNOWN_PROGRAMS))]
    return executable in listed or any(_leads_to(path, executable) for path in listed)


def _leads_to(path: Path, executable: Path, links: int = _MOST_LINKS) -> bool:
    """Whether a path leads to a program by links that root alone can change."""
    try:
        for place in (*reversed(path.parents), path):
            if _doubt_about_place(place):
                return False
            if place.is_symlink():
                target = os.path.normpath(place.parent / place.readlink() / path.relative_to(place))
                return links > 0 and _leads_to(Path(target), executable, links - 1)
    except OSError:
        return False
    return path == executable


def _is_at(path: Path, file: os.stat_result) -> bool:
    """Whether a file is where it is said to be: not if it was deleted, or replaced, or is seen in another way there."""
    try:
        return path.is_absolute() and os.path.samestat(path.lstat(), file)
    except OSError:
        return False


def _doubt_about_place(place: Path) -> str | None:
    shown, status = _shown(place), place.lstat()
    if status.st_uid != _ROOT:
        return f"{shown} belongs to user id {status.st_uid}, not to root"
    if stat.S_ISLNK(status.st_mode):
        return None  # it has no mode of its own: who can change it is who can write to its directory
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return None  # as in /tmp: only root can remove or replace what belongs to root
    # Access control lists show here too: the group's bits are then the most that a list gives to anyone.
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return f"{shown} can be written to by others than root" if writable else None


def _shown(path: Path) -> str:
    return texts.shown(str(path), _LONGEST_PATH_SHOWN)
