"""Runs a program on the replacement runtime, in a process of its own, on the fake broker's bus or on another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# A guard against a program that hangs; nothing is measured with it.
PATIENCE_SECONDS = 60
PRELUDE = """
import json, os, sys, threading, time, uuid
import linuxbroker.runtime.pymsalruntime as runtime

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
AUTHORITY = "https://login.microsoftonline.com/common"
REDIRECT_URI = "https://login.microsoftonline.com/common/oauth2/nativeclient"
GRAPH = "https://graph.microsoft.com/.default"

def parameters(*scopes, authority=AUTHORITY, redirect_uri=REDIRECT_URI):
    made = runtime.MSALRuntimeAuthParameters(CLIENT_ID, authority)
    made.set_requested_scopes(list(scopes or [GRAPH]))
    made.set_redirect_uri(redirect_uri)
    return made

def wait(data):
    assert data.signal.wait(50), "the callback did not come"
    return data.result

def call(function, *arguments):
    data = runtime.CallbackData()
    function(*arguments, data.complete)
    return wait(data)

def new_id():
    return str(uuid.uuid4())

def status(result):
    error = result.get_error()
    return error.get_status().name if error else None
"""


@dataclass(frozen=True)
class Ended:
    """A program that ended.

    Attributes:
        code: its exit code.
        out: its standard output.
        err: its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which must be all that it had to say."""
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program, the prelude above before it unless it is told not to; waits for its end."""

    def run_program(
        source: str, *options: str, prelude: bool = True, environment: dict[str, str] | None = None
    ) -> Ended:
        program = tmp_path / "program.py"
        program.write_text(PRELUDE + source if prelude else source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, *options, str(program)],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run_program
