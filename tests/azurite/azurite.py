"""Azurite as a storage service for tests: https on loopback, accepts Entra tokens only."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.peers import give_up, starts

ACCOUNT = "devstoreaccount1"  # the one that Azurite has
# A guard against a start that hangs; nothing is measured with it.
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Azurite:
    """A running blob service.

    Attributes:
        account_url: what a client of ``azure-storage-blob`` takes.
        certificate_authority: the PEM file to verify its certificate with.
        pid: its process.
    """

    account_url: str
    certificate_authority: Path
    pid: int


def require() -> None:
    """Skip the test where Azurite can't run; with ``LINUXBROKER_REQUIRE_AZURITE=1`` in the environment, fail it."""
    lacks = missing()
    if lacks:
        give_up("azurite", f"Azurite can't run here, for want of {', '.join(lacks)}")


def missing() -> list[str]:
    """Find out what this machine lacks for running Azurite.

    Returns:
        A description of each thing that is not there; empty when everything is.
    """
    names = {
        "setpriv": "the system package util-linux",
        "node": "Node.js with npm (the system packages nodejs and npm)",
        "azurite-blob": "the npm package azurite, which tox installs where there is npm",
    }
    return [name for program, name in names.items() if not starts(program, "--version")]


@contextmanager
def running(folder: Path) -> Iterator[Azurite]:
    """Run Azurite for as long as the block lasts, and no longer than the thread that started it.

    It holds its blobs in memory, and reports nothing to anyone. Of a token it checks the times, that the issuer is
    one of Entra's for version 1 tokens, and that the audience is storage; not the signature (Azurite's README,
    "OAuth Configuration").

    Args:
        folder: an empty one, for its certificate.

    Yields:
        The service, when it listens.

    Raises:
        RuntimeError: it did not start; the text has what it said.
    """
    authority = trustme.CA()
    identity = authority.issue_cert("127.0.0.1")
    certificate, key, authority_file = (folder / f"{name}.pem" for name in ("certificate", "key", "authority"))
    identity.cert_chain_pems[0].write_to_path(str(certificate))
    identity.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(authority_file))
    command = [
        *("setpriv", "--pdeathsig", "KILL", "azurite-blob"),
        *("--blobHost", "127.0.0.1", "--blobPort", "0", "--cert", str(certificate), "--key", str(key)),
        *("--oauth", "basic", "--inMemoryPersistence", "--silent", "--disableTelemetry"),
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Azurite(f"{_address(process)}/{ACCOUNT}", authority_file, process.pid)
        finally:
            process.kill()  # it has nothing to save


def _address(process: subprocess.Popen[str]) -> str:
    """Wait until it says where it listens."""
    assert process.stdout is not None
    said: list[str] = []
    patience = threading.Timer(_PATIENCE_SECONDS, process.kill)
    patience.start()
    try:
        for line in process.stdout:
            if found := re.search(r"successfully listens on (https://\S+)", line):
                return found[1]
            said.append(line)
    finally:
        patience.cancel()
    raise RuntimeError(f"Azurite did not start: {''.join(said).strip() or 'it said nothing'}")
