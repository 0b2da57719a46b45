"""The list of brokers' programs: paths, and links of root's that lead to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from linuxbroker.call.trust.processes import TrustProblem, find_trust_problem
from linuxbroker.call.trust.programs import KNOWN_PROGRAMS
from tests.trust.programs import environment
from tests.trust.test_executable import _give_away, _install, _process, needs_root

UNKNOWN = "its executable is not a known broker program"
# Runs a program as a broker where its package has it, on file systems of its own, and says what is against it.
AT_ITS_PLACE = """
import os, subprocess, sys
from pathlib import Path
from linuxbroker.bus import NameOwner
from linuxbroker.call.trust.processes import find_trust_problem

program, cat = Path(sys.argv[1]), sys.argv[2]
program.parent.mkdir(parents=True, exist_ok=True)
subprocess.run(["cp", cat, program], check=True)
process = subprocess.Popen([program], stdin=subprocess.PIPE)
print(find_trust_problem(NameOwner(":1.7", os.geteuid(), process.pid, True)))
process.communicate()
"""


@needs_root
@pytest.mark.parametrize(
    "name",
    [
        *("python3", "python3.13t", "my-python", "bash", "ksh93", "node20", "luajit", "emacs", "perl5.36.0", "busybox"),
        *("ld-linux-x86-64.so.2", "qemu-aarch64", "gdb", "cat", "microsoft-identity-broker", "himmelblau_broker"),
    ],
)
def test_a_program_that_is_not_listed_is_not_trusted_whatever_its_name(system_folder: Path, name: str) -> None:
    program = _install(system_folder, name)
    with _process(program) as owner:
        found = find_trust_problem(owner)
        assert found is not None
        assert found == TrustProblem(str(program), UNKNOWN)
        assert found.remedy == f"allow it with trusted_programs=['{program}'] (--trusted-program {program})"
        assert find_trust_problem(owner, ["/usr/bin/other", str(program)]) is None
        for other in (system_folder, system_folder / "other", system_folder / name / "more", f"{program}2"):
            assert find_trust_problem(owner, [str(other)]) == TrustProblem(str(program), UNKNOWN)


@needs_root
def test_to_allow_java_is_said_to_allow_every_java_program(system_folder: Path) -> None:
    with _process(_install(system_folder, "java")) as owner:
        found = find_trust_problem(owner)
    assert found is not None
    assert "which trusts every Java program that you run (Microsoft's broker uses Java up to 2.0.1" in found.remedy


@needs_root
def test_a_script_is_its_interpreter(system_folder: Path) -> None:
    interpreter = _install(system_folder, "python3")
    script = system_folder / "broker"
    script.write_text(f"#!{interpreter} -\n", encoding="utf-8")
    script.chmod(0o755)
    with _process(script) as owner:
        assert find_trust_problem(owner, [str(script)]) == TrustProblem(str(interpreter), UNKNOWN)


@needs_root
def test_a_list_is_no_leave_to_be_changed_by_others(system_folder: Path) -> None:
    program = _install(system_folder)
    _give_away(program)
    with _process(program) as owner:
        found = find_trust_problem(owner, [str(program)])
    assert found == TrustProblem(str(program), f"{program} belongs to user ID 65534, not to root")


@needs_root
def test_a_listed_link_counts_where_root_alone_can_change_it(system_folder: Path) -> None:
    """As /opt is a link to /var/opt on some systems, and /run/current-system leads to the Nix store on NixOS."""
    store, system = system_folder / "store", system_folder / "system"
    store.mkdir()
    program = _install(store)
    system.symlink_to("generation/../current")
    current = system_folder / "current"
    current.mkdir()
    link = current / "bin"
    link.symlink_to(store)
    listed = [str(system / "bin" / program.name)]
    with _process(program) as owner:
        assert find_trust_problem(owner, listed) is None
        for place in (link, current, system):
            os.chown(place, 65534, 65534, follow_symlinks=False)
            assert find_trust_problem(owner, listed) == TrustProblem(str(program), UNKNOWN)
            os.chown(place, 0, 0, follow_symlinks=False)
        current.chmod(0o777)
        assert find_trust_problem(owner, listed) == TrustProblem(str(program), UNKNOWN)
        current.chmod(0o755)
        assert find_trust_problem(owner, listed) is None
        system.unlink()
        system.symlink_to("system")
        assert find_trust_problem(owner, listed) == TrustProblem(str(program), UNKNOWN)


@pytest.mark.parametrize("path", [program.path for program in KNOWN_PROGRAMS])
def test_what_the_packages_install_is_trusted(path: str) -> None:
    unshare, cat = shutil.which("unshare"), shutil.which("cat")
    first = Path(*Path(path).parts[:2])
    if unshare is None or cat is None or not first.is_dir():
        pytest.skip(f"there is no unshare, or no {first}")
    if first == Path("/usr"):  # what runs here is in there: what is put there goes to a layer above
        mount = "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w && "
        mount += "mount -t overlay o -o lowerdir=/usr,upperdir=/mnt/u,workdir=/mnt/w /usr"
    else:
        mount = f"mount -t tmpfs -o mode=755 t {first}"
    inside = [unshare, "--mount", "sh", "-c", f'{mount} && "$@"', "sh"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted: run the tests as root")
    run = subprocess.run(
        [*inside, sys.executable, "-c", AT_ITS_PLACE, path, cat],
        env=environment(""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "None\n", run.stderr


def test_each_is_an_absolute_path_with_its_source() -> None:
    for program in KNOWN_PROGRAMS:
        assert Path(program.path).is_absolute() and os.path.normpath(program.path) == program.path
        assert program.package and program.source
