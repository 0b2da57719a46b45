"""On what machine do the applications of these tests run? On one that trusts what the test says, and nothing else."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _certificates_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment would have the HTTP client that MSAL uses pass over ``verify``."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
