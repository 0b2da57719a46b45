"""The machine of these tests' applications: it trusts the certificates that the test names, and no others."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _certificates_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment would have the HTTP client that MSAL uses pass over ``verify``."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
