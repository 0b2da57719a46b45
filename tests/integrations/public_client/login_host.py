"""The login host of MSAL's flows without a broker: on loopback, over https, scripted by a test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from linuxbroker import PublicClientApplication

CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
ACCESS_TOKEN = "a-token-of-the-login-host"
TENANT = "contoso.example"


class LoginHost:
    """It signs everyone in who asks for a device code, after some polls.

    Args:
        pending: how often the user has not signed in yet when the application polls.
        interval: seconds between two polls; MSAL asks its exit condition once in each.

    Attributes:
        authority: of its one tenant.
        certificate_authority: the file that a client verifies it with.
        requests: the last part of each path that was asked for, in order.
        forms: what was posted.
        polled: set once an application has asked for a token.
    """

    def __init__(self, pending: int = 0, interval: int = 0) -> None:
        self.authority = self.certificate_authority = ""
        self.requests: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.polled = asyncio.Event()
        self._pending = pending
        self._interval = interval

    @asynccontextmanager
    async def running(self, folder: Path) -> AsyncIterator[LoginHost]:
        """Serve on a port of 127.0.0.1 until the block ends.

        Args:
            folder: where the certificate authority is written to.

        Yields:
            Itself, with ``authority`` and ``certificate_authority`` set.
        """
        application = web.Application()
        application.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._endpoints)
        application.router.add_post("/{tenant}/oauth2/v2.0/devicecode", self._device_code)
        application.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificates = trustme.CA()
        certificates.issue_cert("127.0.0.1").configure_cert(context)
        self.certificate_authority = str(folder / "authority.pem")
        certificates.cert_pem.write_to_path(self.certificate_authority)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        self.authority = f"https://127.0.0.1:{port}/{TENANT}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def application(self, **options: Any) -> PublicClientApplication:
        """Make an application whose flows without a broker come here.

        Args:
            options: its other arguments.

        Returns:
            The application.
        """
        return PublicClientApplication(
            CLIENT_ID,
            authority=self.authority,
            instance_discovery=False,
            verify=self.certificate_authority,
            **options,
        )

    async def _endpoints(self, request: web.Request) -> web.Response:
        self.requests.append("openid-configuration")
        endpoints = f"{self.authority}/oauth2/v2.0"
        return web.json_response(
            {
                "issuer": f"{self.authority}/v2.0",
                "authorization_endpoint": f"{endpoints}/authorize",
                "token_endpoint": f"{endpoints}/token",
                "device_authorization_endpoint": f"{endpoints}/devicecode",
            }
        )

    async def _device_code(self, request: web.Request) -> web.Response:
        await self._note(request)
        return web.json_response(
            {
                "user_code": "ABC-DEF",
                "device_code": "a-device-code",
                "verification_uri": f"{self.authority}/device",
                "message": "Enter ABC-DEF.",
                "expires_in": 900,
                "interval": self._interval,
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        await self._note(request)
        self.polled.set()
        if self._pending > 0:
            self._pending -= 1
            return web.json_response({"error": "authorization_pending"}, status=400)
        return web.json_response({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3600})

    async def _note(self, request: web.Request) -> None:
        self.requests.append(request.path.rpartition("/")[2])
        form: dict[str, Any] = dict(await request.post())
        self.forms.append({key: str(value) for key, value in form.items()})
