"""The Azure SDK's own broker credential, unmodified, gets storage tokens through the replacement runtime."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linuxbroker_fake import RunningFake
from tests.azurite.azurite import Azurite

ADA = "ada@contoso.example"
# A guard against a program that hangs; nothing is measured with it.
_PATIENCE_SECONDS = 120
# As an application has it, but for the transport: MSAL reads the login host's endpoints over the network.
PROGRAM = """
import io
import json
import sys
import uuid

import msal
import requests
import urllib3
from azure.core.pipeline.transport import RequestsTransport
from azure.identity.broker import InteractiveBrowserBrokerCredential
from azure.storage.blob import BlobServiceClient


class LoginHost(requests.adapters.HTTPAdapter):
    def send(self, request, **_):
        assert request.method == "GET", f"MSAL went past the broker, to {request.url}"
        tenant = request.url.partition("/v2.0/")[0]
        body = json.dumps({
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
            "issuer": f"{tenant}/v2.0",
        }).encode()
        headers = {"Content-Type": "application/json"}
        answer = urllib3.HTTPResponse(io.BytesIO(body), headers=headers, status=200, preload_content=False)
        return self.build_response(request, answer)


session = requests.Session()
session.mount("https://login.microsoftonline.com", LoginHost())
credential = InteractiveBrowserBrokerCredential(
    parent_window_handle=msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE,
    transport=RequestsTransport(session=session),
    **json.loads(sys.argv[3]),
)
sent = []
service = BlobServiceClient(
    sys.argv[1],
    credential=credential,
    connection_verify=sys.argv[2],
    raw_response_hook=lambda response: sent.append(response.http_request.headers.get("Authorization")),
)
container = service.create_container(f"test-{uuid.uuid4()}")
container.upload_blob("a-blob", b"kept " * 1000)
content = container.download_blob("a-blob").readall()
print(json.dumps({"sent": sorted(set(sent)), "whole": content == b"kept " * 1000,
    "runtime": sys.modules["pymsalruntime"].__name__}))
"""


def _run(tmp_path: Path, storage: Azurite, fake: RunningFake, **options: Any) -> dict[str, Any]:
    _require_the_credential()
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    arguments = [storage.account_url, str(storage.certificate_authority), json.dumps(options)]
    done = subprocess.run(
        [sys.executable, "-m", "linuxbroker", "run", "--force", str(program), *arguments],
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": fake.address},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["runtime"] == "linuxbroker.runtime.pymsalruntime"
    return seen


def _require_the_credential() -> None:
    if importlib.util.find_spec("azure.identity.broker") is None:
        reason = "the Python package azure-identity-broker is not installed"
        if os.environ.get("LINUXBROKER_REQUIRE_AZURITE") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.mark.fake_broker(signed_in=(ADA,))
def test_storage_takes_the_token_of_the_user_whom_the_broker_knows(
    storage: Azurite, fake_broker: RunningFake, tmp_path: Path
) -> None:
    seen = _run(tmp_path, storage, fake_broker, use_default_broker_account=True)
    (header,) = seen["sent"]
    claims = fake_broker.broker.verify_access_token(header.removeprefix("Bearer "))
    assert (claims["upn"], claims["aud"]) == (ADA, "https://storage.azure.com")
    assert seen["whole"]
    assert fake_broker.calls_of("acquireTokenInteractively") == []


@pytest.mark.fake_broker(signed_in=())
def test_storage_takes_the_token_of_a_user_who_signs_in(
    storage: Azurite, fake_broker: RunningFake, tmp_path: Path
) -> None:
    fake_broker.set_user("approve", upn="grace@fabrikam.example")
    seen = _run(tmp_path, storage, fake_broker)
    (header,) = seen["sent"]
    claims = fake_broker.broker.verify_access_token(header.removeprefix("Bearer "))
    assert claims["upn"] == "grace@fabrikam.example"
    assert seen["whole"]
    assert len(fake_broker.calls_of("acquireTokenInteractively")) == 1
