"""Broker tokens sent to a storage service by a client of the Azure SDK: accepted if valid, refused otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineResponse
from azure.identity.aio import AzureCliCredential, ChainedTokenCredential
from azure.storage.blob.aio import BlobServiceClient

from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker_fake import RunningFake
from linuxbroker_fake.directory import Directory
from tests.azurite.azurite import Azurite
from tests.docs.examples import STORAGE
from tests.output import without_slow_callbacks

ADA = "ada@contoso.example"
CONTOSO = "00000000-0000-0000-0000-0000000000f1"
SILENT, INTERACTIVE = "acquireTokenSilently", "acquireTokenInteractively"
CONTENT = bytes(range(256)) * 4096
# A guard against a program that hangs; nothing is measured with it.
_PATIENCE_SECONDS = 120


class Client(BlobServiceClient):
    """The SDK's client, which trusts the certificate and keeps what it sent as ``Authorization``.

    Args:
        storage: the service.
        credential: one of the Azure SDK's, or None.
        options: of the SDK's client.

    Attributes:
        sent: a header for each answer that came; None where there was no such header.
    """

    def __init__(self, storage: Azurite, credential: Any, **options: Any) -> None:
        self.sent: list[str | None] = []
        super().__init__(
            storage.account_url,
            credential=credential,
            connection_verify=str(storage.certificate_authority),
            raw_response_hook=self._note,
            **options,
        )

    def _note(self, response: PipelineResponse[Any, Any]) -> None:
        self.sent.append(response.http_request.headers.get("Authorization"))

    def claims(self, fake: RunningFake) -> dict[str, Any]:
        """The claims of the one token that was sent, whose signature must be the fake Entra's."""
        (header,) = set(self.sent)
        assert header is not None
        return dict(fake.broker.verify_access_token(header.removeprefix("Bearer ")))


async def _create_container(service: BlobServiceClient) -> None:
    async with await service.create_container(f"test-{uuid.uuid4()}"):
        pass


# What is taken


async def test_a_blob_is_uploaded_and_downloaded(storage: Azurite, fake_broker: RunningFake) -> None:
    async with (
        BrokerCredential(login_hint=ADA) as credential,
        Client(storage, credential) as service,
        await service.create_container(f"test-{uuid.uuid4()}") as container,
    ):
        await container.upload_blob("a-blob", CONTENT)
        download = await container.download_blob("a-blob")
        assert await download.readall() == CONTENT
        assert [(blob.name, blob.size) async for blob in container.list_blobs()] == [("a-blob", len(CONTENT))]
    claims = service.claims(fake_broker)
    assert (claims["upn"], claims["aud"]) == (ADA, "https://storage.azure.com")
    assert (claims["iss"], claims["ver"]) == (f"https://sts.windows.net/{CONTOSO}/", "1.0")
    (asked,) = fake_broker.calls_of(SILENT)
    assert asked.request["authParameters"]["requestedScopes"] == ["https://storage.azure.com/.default"]
    assert not fake_broker.calls_of(INTERACTIVE)


async def test_a_user_who_signs_in_is_let_in(storage: Azurite, fake_broker: RunningFake) -> None:
    async with BrokerCredential() as credential, Client(storage, credential) as service:
        await _create_container(service)
    assert service.claims(fake_broker)["upn"] == ADA
    assert fake_broker.calls_of(INTERACTIVE)


async def test_a_chain_signs_in_with_the_broker(storage: Azurite, fake_broker: RunningFake) -> None:
    chain = ChainedTokenCredential(BrokerCredential(login_hint=ADA), AzureCliCredential())
    async with chain, Client(storage, chain) as service:
        await _create_container(service)
    assert service.claims(fake_broker)["upn"] == ADA


def test_readme_example_runs(storage: Azurite, fake_broker: RunningFake, tmp_path: Path) -> None:
    (tmp_path / "pasted.py").write_text(STORAGE.code, encoding="utf-8")
    environment = {
        **os.environ,
        "DBUS_SESSION_BUS_ADDRESS": fake_broker.address,
        "SSL_CERT_FILE": str(storage.certificate_authority),
    }
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "pasted.py", storage.account_url],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, without_slow_callbacks(done.stderr), done.stdout) == (
        0,
        "",
        "Hello from the identity broker\n",
    )
    assert fake_broker.calls_of(SILENT)


# What is refused


async def test_no_token_is_refused(storage: Azurite) -> None:
    async with Client(storage, None) as service:
        with pytest.raises(HttpResponseError) as refused:
            await _create_container(service)
    assert (refused.value.status_code, service.sent) == (403, [None])


async def test_a_token_for_another_audience_is_refused(storage: Azurite, fake_broker: RunningFake) -> None:
    elsewhere = "https://management.azure.com"
    async with (
        BrokerCredential(login_hint=ADA) as credential,
        Client(storage, credential, audience=elsewhere) as service,
    ):
        with pytest.raises(HttpResponseError, match="Invalid token audience") as refused:
            await _create_container(service)
    assert (refused.value.status_code, service.claims(fake_broker)["aud"]) == (403, elsewhere)


@pytest.mark.fake_broker(directory=Directory.default().model_copy(update={"token_versions": {}}))
async def test_a_token_of_version_2_is_refused(storage: Azurite, fake_broker: RunningFake) -> None:
    async with BrokerCredential(login_hint=ADA) as credential, Client(storage, credential) as service:
        with pytest.raises(HttpResponseError, match="Invalid token issuer") as refused:
            await _create_container(service)
    assert (refused.value.status_code, service.claims(fake_broker)["ver"]) == (403, "2.0")


class ForTomorrow(BrokerCredential):
    """A credential whose tokens are valid a day from now at the earliest."""

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        claims = {"access_token": {"nbf": {"essential": True, "value": str(int(time.time()) + 86400)}}}
        return await super().get_token_info(*scopes, options={**(options or {}), "claims": json.dumps(claims)})


async def test_a_token_that_is_not_valid_yet_is_refused(storage: Azurite, fake_broker: RunningFake) -> None:
    async with ForTomorrow(login_hint=ADA) as credential, Client(storage, credential) as service:
        with pytest.raises(HttpResponseError, match="Lifetime validation failed") as refused:
            await _create_container(service)
    assert refused.value.status_code == 403
    assert service.sent[0] is not None
