"""What does the broker do, without one being installed? A walk through every operation against the fake broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, cast

from linuxbroker import failures, jwt_claims, texts
from linuxbroker.cli import output
from linuxbroker.cli.arguments import Arguments, UsageError
from linuxbroker.client import BrokerClient
from linuxbroker.errors import BrokerError, BrokerResponseError, UnsupportedOperationError
from linuxbroker.models import Account
from linuxbroker.pop import PopAuthScheme
from linuxbroker.results import TokenResult

if TYPE_CHECKING:
    from linuxbroker_fake import FakeBroker

_CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
_SCOPES = ("https://graph.microsoft.com/User.Read",)
# The demo answers claims challenges: without saying so, it would not be challenged.
_CAPABILITIES = ("CP1",)
_REQUEST = PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me", nonce="nonce-of-the-demo")
_SSO_URL = "https://login.microsoftonline.com/?sso_nonce=nonce-of-the-demo"
_CLAIMS_SHOWN = ("aud", "scp", "exp", "upn", "preferred_username", "tid")
_REQUEST_CLAIMS_SHOWN = ("m", "u", "p", "nonce")
_PATIENCE_SECONDS = 10.0

Details = dict[str, Any]


class NoBusDaemonError(Exception):
    """There is no ``dbus-daemon`` to make a private bus with."""


class DemoUnavailableError(Exception):
    """The fake broker is not installed, or does not start."""


async def run(arguments: Arguments) -> bool:
    """Start a private bus and a fake broker, and walk through every operation.

    Args:
        arguments: the command line.

    Returns:
        Whether every step did what it should, or is one that the broker of this persona does not have.

    Raises:
        NoBusDaemonError: there is no ``dbus-daemon``.
        DemoUnavailableError: the fake broker is not installed, or does not start.
        UsageError: there is no such persona.
        OutputError: standard output can't be written to.
    """
    try:
        from linuxbroker_fake import (
            DBusDaemonMissingError,
            FakeBroker,
            FakeConfig,
            PersonaName,
            PrivateBus,
        )
    except ImportError as error:
        raise DemoUnavailableError(f"the fake broker is not installed: there is no module {error.name}") from None
    try:
        persona = PersonaName(arguments.persona)
    except ValueError:
        personas = ", ".join(item.value for item in PersonaName)
        raise UsageError(f"there is no persona {arguments.persona!r}; there are: {personas}") from None
    async with AsyncExitStack() as stack:
        try:
            bus = await stack.enter_async_context(PrivateBus())
        except DBusDaemonMissingError:
            raise NoBusDaemonError(
                "the demo makes a bus of its own, for which it needs the program dbus-daemon: "
                "'sudo apt install dbus' or 'sudo dnf install dbus-daemon'"
            ) from None
        except (OSError, RuntimeError) as error:
            raise DemoUnavailableError(f"the private bus did not start: {error}") from None
        if not arguments.json:
            output.write_line(f"A private bus at {bus.address}, and the fake broker {persona.value} on it.")
        broker = FakeBroker(FakeConfig(persona=persona))
        client = await stack.enter_async_context(
            BrokerClient(_CLIENT_ID, client_capabilities=_CAPABILITIES, bus_address=bus.address)
        )
        steps = await Walk(client, broker, bus.address, human=not arguments.json).run()
    if arguments.json:
        output.write_json(steps)
    return all(step["ok"] or step.get("unsupported", False) for step in steps.values())


class Walk:
    """The walk: a step an operation, in an order that makes a story.

    Args:
        client: asks the broker.
        broker: the fake, for what its user knows and for what its Entra does.
        address: the private bus's.
        human: whether each step is told as it happens.
    """

    def __init__(self, client: BrokerClient, broker: FakeBroker, address: str, *, human: bool) -> None:
        self._human = human
        self._client = client
        self._broker = broker
        self._address = address
        self._user = broker.directory.users[0]

    async def run(self) -> dict[str, Details]:
        """Take every step.

        Returns:
            For each step whether it is ``ok``, and what came of it; no token, cookie or password.

        Raises:
            OutputError: standard output can't be written to.
        """
        from linuxbroker_fake import serve

        steps: dict[str, Details] = {}
        async with aclosing(self._client.watch()) as changes:
            before = await anext(changes)
            async with serve(self._broker, self._address):

                async def watch() -> Details:
                    after = await asyncio.wait_for(anext(changes), _PATIENCE_SECONDS)
                    seen = [before.value, after.value]
                    return {"ok": seen == ["offline", "online"], "seen": seen}

                story: Mapping[str, tuple[str, Callable[[], Awaitable[Details]]]] = {
                    "watch": ("See the broker come", watch),
                    "is_available": ("Ask whether there is a broker", self._is_available),
                    "version": ("Ask for its version", self._version),
                    "accounts": ("List the accounts", self._accounts),
                    "token_silent": ("Get a token without the user", self._token_silent),
                    "token_interactive": ("Get a token by asking the user", self._token_interactive),
                    "token_username_password": ("Get a token for a user name and password", self._token_password),
                    "claims_challenge": ("Renew a token that was revoked", self._claims_challenge),
                    "token_pop": ("Get a token bound to one HTTP request", self._token_pop),
                    "prt_cookie": ("Get the cookies that sign a browser in", self._prt_cookie),
                    "signed_http_request": ("Sign an HTTP request", self._signed_http_request),
                    "sign_out": ("Sign out of the app", self._sign_out),
                }
                for number, (name, (title, step)) in enumerate(story.items(), start=1):
                    if self._human:
                        output.write_line(f"\n{number:2}. {title} ({name})")
                    steps[name] = await _taken(step)
                    if self._human:
                        output.write_line(_told(steps[name]))
        return steps

    async def _is_available(self) -> Details:
        return {"ok": await self._client.is_available()}

    async def _version(self) -> Details:
        return {"ok": True, "broker": await self._client.get_linux_broker_version()}

    async def _accounts(self) -> Details:
        accounts = await self._client.get_accounts()
        shown = [{"username": account.username, "tenant": account.realm} for account in accounts]
        return {"ok": bool(accounts), "accounts": shown}

    async def _token_silent(self) -> Details:
        return _shown(await self._client.acquire_token_silent(_SCOPES, await self._account()))

    async def _token_interactive(self) -> Details:
        return _shown(await self._client.acquire_token_interactive(_SCOPES, login_hint=self._user.upn))

    async def _token_password(self) -> Details:
        user = self._user
        try:
            return _shown(await self._client.acquire_token_by_username_password(user.upn, user.password, _SCOPES))
        except BrokerResponseError as error:
            if not failures.wants_account(error):
                raise
        # Himmelblau does not read user name and password: what it misses is an account.
        return _not_offered("it signs nobody in with a password")

    async def _claims_challenge(self) -> Details:
        account = await self._account()
        refused = await self._client.acquire_token_silent(_SCOPES, account)
        self._broker.revoke(self._user.upn)
        was_refused, challenge = self._verdict(refused)
        if was_refused and challenge is None:
            reason = (
                "its tokens don't say what the client is capable of, so that a resource refuses without a challenge"
            )
            return _not_offered(reason)
        fresh = await self._client.acquire_token_silent(
            _SCOPES, account, claims_challenge=challenge, access_token_to_renew=refused.access_token
        )
        accepted = self._verdict(fresh) == (False, None)
        outcome = {"ok": was_refused and accepted, "old_token_refused": was_refused, "new_token_accepted": accepted}
        return {**_shown(fresh), "challenge": challenge, **outcome}

    async def _token_pop(self) -> Details:
        result = await self._client.acquire_token_silent(_SCOPES, await self._account(), auth_scheme=_REQUEST)
        return {**_shown(result), **_bound_request(result.access_token)}

    async def _prt_cookie(self) -> Details:
        cookies = await self._client.acquire_prt_sso_cookie(await self._account(), _SSO_URL)
        bound = all(jwt_claims.peek(cookie.content).get("request_nonce") for cookie in cookies)
        return {"ok": True, "headers": [cookie.name for cookie in cookies], "nonce_is_bound_in": bound}

    async def _signed_http_request(self) -> Details:
        signed = await self._client.generate_signed_http_request(await self._account(), _REQUEST)
        return {"ok": True, **_bound_request(signed)}

    async def _sign_out(self) -> Details:
        account = await self._account()
        await self._client.remove_account(account)
        left = await self._client.get_accounts()
        shown = [{"username": item.username, "tenant": item.realm} for item in left]
        gone = account.local_account_id not in {item.local_account_id for item in left}
        return {"ok": gone, "signed_out": account.username, "accounts_left": shown}

    async def _account(self) -> Account:
        account = await self._client.get_account(self._user.upn)
        if account is None:
            raise DemoUnavailableError(f"the fake broker does not list {self._user.upn}")
        return account

    def _verdict(self, token: TokenResult) -> tuple[bool, str | None]:
        """Whether a resource refuses a token, and the claims challenge that it then gives, if any."""
        from linuxbroker_fake import RevokedTokenError

        try:
            self._broker.verify_access_token(token.access_token)
        except RevokedTokenError as revoked:
            return True, revoked.challenge
        except ValueError:
            return True, None
        return False, None


async def _taken(step: Callable[[], Awaitable[Details]]) -> Details:
    try:
        return await step()
    except UnsupportedOperationError as error:
        return _not_offered(error.context or "it gives no reason")
    except (BrokerError, DemoUnavailableError, asyncio.TimeoutError) as error:
        return {"ok": False, **output.error_json(error, str(error) or "no answer in time")}


def _not_offered(reason: str) -> Details:
    return {"ok": False, "unsupported": True, "reason": reason}


def _shown(token: TokenResult) -> Details:
    shown = _claims(token.access_token)
    return {
        "ok": bool(shown),
        "token_type": token.token_type,
        "expires_on": output.timestamp(token.expires_on),
        "scopes": list(token.scopes),
        "username": token.account.username if token.account else None,
        "claims": shown,
    }


def _claims(token: str) -> Details:
    """The claims that say what a token is for; of a signed HTTP request, those of the token inside."""
    claims = jwt_claims.peek(token)
    inside = claims.get("at")
    if isinstance(inside, str):
        claims = jwt_claims.peek(inside)
    return {name: claims[name] for name in _CLAIMS_SHOWN if name in claims}


def _bound_request(signed: str) -> Details:
    claims = jwt_claims.peek(signed)
    return {
        "request": {name: claims[name] for name in _REQUEST_CLAIMS_SHOWN if name in claims},
        "claims": _claims(signed),
    }


def _told(step: Details) -> str:
    if step.get("unsupported"):
        return f"    not offered by this broker: {texts.shown(str(step['reason']))}"
    lines = ["    done" if step["ok"] else "    FAILED"]
    for name, value in step.items():
        if name != "ok":
            lines.append(f"    {name}: {texts.shown(_spelt(value), texts.LONGEST_MESSAGE)}")
    return "\n".join(lines)


def _spelt(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_spelt(item)}" for name, item in cast("dict[str, object]", value).items())
    if isinstance(value, list):
        return "; ".join(_spelt(item) for item in cast("list[object]", value))
    return str(value)
