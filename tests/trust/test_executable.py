"""The programs that are trusted: real processes with executables of every kind, checked as owners of the name."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linuxbroker.bus import NameOwner
from linuxbroker.call.trust.processes import TrustProblem, find_trust_problem
from tests.trust.conftest import NEEDS_ROOT
from tests.trust.programs import NOBODY

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason=NEEDS_ROOT)


def _install(folder: Path, name: str = "identity-broker") -> Path:
    """Put a program that ends with its standard input into a folder, as a package's installer leaves it."""
    program = folder / name
    cat = shutil.which("cat")
    assert cat is not None
    shutil.copyfile(cat, program)
    program.chmod(0o755)
    return program


@contextlib.contextmanager
def _process(program: Path, user: int | None = None) -> Iterator[NameOwner]:
    """Run a program, and give what a bus would tell of it."""
    process = subprocess.Popen([program], stdin=subprocess.PIPE, user=user, group=user)
    assert process.stdin is not None
    try:
        yield NameOwner(":1.7", uid=os.geteuid() if user is None else user, pid=process.pid, same_namespaces=True)
    finally:
        process.stdin.close()
        process.wait()


def _give_away(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


@needs_root
def test_a_program_that_root_alone_can_change_is_trusted(system_folder: Path) -> None:
    program = _install(system_folder)
    with _process(program) as owner:
        assert find_trust_problem(owner, [str(program)]) is None


@needs_root
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_give_away, "{} belongs to user ID 65534, not to root"),
        (lambda path: path.chmod(0o775), "{} is writable by users other than root"),
        (lambda path: path.chmod(0o757), "{} is writable by users other than root"),
    ],
    ids=["another's", "a group's", "anyone's"],
)
@pytest.mark.parametrize("place", ["program", "folder above", "folder further up"])
def test_a_program_that_others_can_change_is_not(
    system_folder: Path, spoil: Callable[[Path], None], reason: str, place: str
) -> None:
    folder = system_folder / "lib" / "broker"
    folder.mkdir(parents=True)
    program = _install(folder)
    spoilt = {"program": program, "folder above": folder, "folder further up": folder.parent}[place]
    with _process(program) as owner:
        assert find_trust_problem(owner, [str(program)]) is None
        spoil(spoilt)
        assert find_trust_problem(owner) == TrustProblem(str(program), reason.format(spoilt))


@needs_root
def test_a_folder_like_tmp_is_no_harm_to_what_belongs_to_root(system_folder: Path) -> None:
    program = _install(system_folder)
    with _process(program) as owner:
        system_folder.chmod(0o1777)
        assert find_trust_problem(owner, [str(program)]) is None
        _give_away(system_folder)
        assert find_trust_problem(owner) == TrustProblem(
            str(program), f"{system_folder} belongs to user ID 65534, not to root"
        )


@needs_root
@pytest.mark.parametrize("mode", [0o1757, 0o1775, 0o4757, 0o2757, 0o7777])
def test_a_sticky_bit_of_the_program_itself_keeps_nobody_out(system_folder: Path, mode: int) -> None:
    """It means something for directories alone (inode(7))."""
    program = _install(system_folder)
    with _process(program) as owner:
        program.chmod(mode)
        assert find_trust_problem(owner, [str(program)]) == TrustProblem(
            str(program), f"{program} is writable by users other than root"
        )
        program.chmod(mode & ~0o22)
        assert find_trust_problem(owner, [str(program)]) is None


@needs_root
@pytest.mark.parametrize("mode", [0o2777, 0o4777])
def test_another_bit_of_a_folder_keeps_nobody_out(system_folder: Path, mode: int) -> None:
    program = _install(system_folder)
    with _process(program) as owner:
        system_folder.chmod(mode)
        found = find_trust_problem(owner, [str(program)])
        assert found == TrustProblem(str(program), f"{system_folder} is writable by users other than root")


def test_a_program_of_the_users_own_is_not_trusted(folder: Path) -> None:
    program = _install(folder)
    if os.geteuid() == 0:
        _give_away(program)
    with _process(program) as owner:
        assert find_trust_problem(owner) == TrustProblem(
            str(program), f"{program} belongs to user ID {program.stat().st_uid}, not to root"
        )


@pytest.mark.parametrize("replaced", [False, True])
def test_a_program_that_is_not_there_any_more_is_not_trusted(folder: Path, replaced: bool) -> None:
    program = _install(folder)
    with _process(program) as owner:
        program.unlink()
        if replaced:
            _install(folder)
        found = find_trust_problem(owner)
    assert found is not None
    assert found.executable == f"{program} (deleted)"
    assert found.reason.startswith("its executable is no longer the file at that path; after an update")


@needs_root
def test_another_file_under_the_name_of_a_deleted_one_is_not_taken_for_it(system_folder: Path) -> None:
    program = _install(system_folder)
    with _process(program) as owner:
        program.unlink()
        _install(system_folder, "identity-broker (deleted)")
        found = find_trust_problem(owner)
    assert found is not None
    assert "is no longer the file at that path" in found.reason


@needs_root
def test_links_play_no_part(system_folder: Path) -> None:
    """The user may start a program of the system through a link of their own; not the other way round."""
    program = _install(system_folder)
    users = system_folder / "users"
    users.mkdir()
    link = users / "link"
    link.symlink_to(program)
    for place in (users, link):
        os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
    with _process(link) as owner:
        assert find_trust_problem(owner, [str(program)]) is None
    own = _install(users)
    link_to_it = system_folder / "link"
    link_to_it.symlink_to(own)
    with _process(link_to_it) as owner:
        assert find_trust_problem(owner) == TrustProblem(str(own), f"{users} belongs to user ID 65534, not to root")


def test_a_name_is_shown_without_what_a_terminal_would_obey(folder: Path) -> None:
    program = _install(folder, "broker\x1b[2J\n\udcff")
    if os.geteuid() == 0:
        _give_away(program)
    with _process(program) as owner:
        found = find_trust_problem(owner)
    assert found is not None
    assert found.executable == f"{folder}/broker [2J  "
    assert found.reason.isprintable()


def test_a_very_long_name_is_shortened(folder: Path) -> None:
    place = folder
    for _ in range(3):
        place = place / ("x" * 250)
        place.mkdir()
    program = _install(place)
    if os.geteuid() == 0:
        _give_away(program)
    with _process(program) as owner:
        found = find_trust_problem(owner)
    assert found is not None
    assert found.executable == str(program)[:500] + "…"


def test_a_process_that_has_ended_is_not_trusted(folder: Path) -> None:
    with _process(_install(folder)) as owner:
        pass
    assert find_trust_problem(owner) == TrustProblem(
        "", "the process exited, and another one may be using its connection to the bus"
    )


@pytest.mark.parametrize(
    ("owner", "reason"),
    [
        (NameOwner(":1.7", None, 1, True), "the bus does not report which process it is"),
        (NameOwner(":1.7", 0, None, True), "the bus does not report which process it is"),
        (NameOwner(":1.7", NOBODY, 1, True), "it runs as user ID 65534, which is neither yours nor root's"),
        (NameOwner(":1.7", 0, 1, False), "this program runs in a container or sandbox and cannot"),
    ],
    ids=["no user", "no process", "another user", "container"],
)
def test_what_the_bus_tells_can_be_reason_enough(owner: NameOwner, reason: str) -> None:
    found = find_trust_problem(owner)
    assert found is not None
    assert found.reason.startswith(reason)


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Look as a user who is not root."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@needs_root
def test_a_user_who_is_not_root_trusts_what_runs_as_root(system_folder: Path) -> None:
    program = _install(system_folder)
    _give_away(program)
    with _process(program) as owner:
        with _as_nobody():
            assert find_trust_problem(owner) is None
        assert find_trust_problem(owner, [str(program)]) is not None


@needs_root
def test_a_user_who_is_not_root_looks_at_their_own_processes(system_folder: Path) -> None:
    program = _install(system_folder)
    with _process(program, user=NOBODY) as owner, _as_nobody():
        assert find_trust_problem(owner, [str(program)]) is None
    _give_away(program)
    with _process(program, user=NOBODY) as owner, _as_nobody():
        assert find_trust_problem(owner) == TrustProblem(
            str(program), f"{program} belongs to user ID 65534, not to root"
        )


@needs_root
def test_an_access_control_list_counts(system_folder: Path) -> None:
    program = _install(system_folder)
    no_id = 0xFFFFFFFF
    entries = [(1, 7, no_id), (2, 7, NOBODY), (4, 5, no_id), (16, 7, no_id), (32, 5, no_id)]  # see acl(5)
    encoded = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(program, "system.posix_acl_access", encoded)
    except OSError as error:
        pytest.skip(f"the file system has no access control lists ({error.strerror})")
    with _process(program, user=NOBODY) as owner, _as_nobody():
        assert os.access(program, os.W_OK, effective_ids=True)
        assert find_trust_problem(owner) == TrustProblem(
            str(program), f"{program} is writable by users other than root"
        )


@needs_root
def test_a_process_that_cannot_be_looked_at_is_not_trusted(system_folder: Path) -> None:
    """The kernel shows nobody but root a process that was made from a file which its user can't read."""
    program = _install(system_folder)
    program.chmod(0o711)
    with _process(program, user=NOBODY) as owner, _as_nobody():
        assert find_trust_problem(owner) == TrustProblem("", "its executable cannot be inspected (Permission denied)")
