"""``linuxbroker demo``: every operation, one after the other, against the fake broker on a private bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, cast

from linuxbroker.call import failures
from linuxbroker.cli import output
from linuxbroker.cli.arguments import Arguments, UsageError
from linuxbroker.client import BrokerClient
from linuxbroker.errors import BrokerError, BrokerResponseError, UnsupportedOperationError
from linuxbroker.redaction import texts
from linuxbroker.results import TokenResult
from linuxbroker.tokens import jwt_claims
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.wire.models import Account

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
    """``dbus-daemon``, which runs the private bus, is not installed."""


class DemoUnavailableError(Exception):
    """The fake broker is not installed or does not start."""


async def run(arguments: Arguments) -> bool:
    """Start a private bus and a fake broker, and run every operation.

    Args:
        arguments: the command line.

    Returns:
        Whether every step succeeded or is not supported by the broker of this persona.

    Raises:
        NoBusDaemonError: ``dbus-daemon`` is not installed.
        DemoUnavailableError: the fake broker is not installed or does not start.
        UsageError: the persona is unknown.
        OutputError: standard output cannot be written to.
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
        raise DemoUnavailableError(f"the fake broker is not available: {error}") from None
    try:
        persona = PersonaName(arguments.persona)
    except ValueError:
        personas = ", ".join(item.value for item in PersonaName)
        raise UsageError(f"unknown persona {arguments.persona!r}; choose from: {personas}") from None
    async with AsyncExitStack() as stack:
        try:
            bus = await stack.enter_async_context(PrivateBus())
        except DBusDaemonMissingError:
            raise NoBusDaemonError(
                "the demo requires dbus-daemon. "
                "Install it with 'sudo apt install dbus' or 'sudo dnf install dbus-daemon'."
            ) from None
        except (OSError, RuntimeError) as error:
            raise DemoUnavailableError(f"the private bus did not start: {error}") from None
        if not arguments.json:
            output.write_line(f"Started fake broker {persona.value} on a private bus ({bus.address}).")
        broker = FakeBroker(FakeConfig(persona=persona))
        client = await stack.enter_async_context(
            BrokerClient(_CLIENT_ID, client_capabilities=_CAPABILITIES, bus_address=bus.address)
        )
        steps = await DemoRunner(client, broker, bus.address, human=not arguments.json).run()
    if arguments.json:
        output.write_json(steps)
    else:
        output.write_line(_summary(steps))
    return all(step["ok"] or step.get("unsupported", False) for step in steps.values())


class DemoRunner:
    """Runs the steps, one for each operation.

    Args:
        client: the client under demonstration.
        broker: the fake broker, for its users and for what its Entra does.
        address: D-Bus address of the private bus.
        human: whether each step is printed as it happens.
    """

    def __init__(self, client: BrokerClient, broker: FakeBroker, address: str, *, human: bool) -> None:
        self._human = human
        self._client = client
        self._broker = broker
        self._address = address
        self._user = broker.directory.users[0]
        self._tenant_names = {tenant.id: tenant.name for tenant in broker.directory.tenants}

    async def run(self) -> dict[str, Details]:
        """Run every step.

        Returns:
            For each step whether it is ``ok``, and its result; no token, cookie or password.

        Raises:
            OutputError: standard output cannot be written to.
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
                    "watch": ("Watch the broker start", watch),
                    "is_available": ("Check whether a broker answers", self._is_available),
                    "version": ("Get its version", self._version),
                    "accounts": ("List the accounts", self._accounts),
                    "token_silent": ("Get a token silently", self._token_silent),
                    "token_interactive": ("Get a token interactively", self._token_interactive),
                    "token_username_password": ("Get a token with a user name and password", self._token_password),
                    "claims_challenge": ("Replace a revoked token", self._claims_challenge),
                    "token_pop": ("Get a token bound to one HTTP request", self._token_pop),
                    "prt_cookie": ("Get the cookies that sign a browser in", self._prt_cookie),
                    "signed_http_request": ("Sign an HTTP request", self._signed_http_request),
                    "sign_out": ("Sign one account out of the app", self._sign_out),
                }
                for number, (name, (title, step)) in enumerate(story.items(), start=1):
                    if self._human:
                        output.write_line(f"\n{number:2}. {title} ({name})")
                    steps[name] = await _run_step(step)
                    if self._human:
                        output.write_line(_format_step(steps[name], self._tenant_names))
        return steps

    async def _is_available(self) -> Details:
        return {"ok": await self._client.is_available()}

    async def _version(self) -> Details:
        return {"ok": True, "broker": await self._client.get_linux_broker_version()}

    async def _accounts(self) -> Details:
        accounts = await self._client.get_accounts()
        return {"ok": bool(accounts), "accounts": [_account_details(account) for account in accounts]}

    async def _token_silent(self) -> Details:
        return _token_details(await self._client.acquire_token_silent(_SCOPES, await self._account()))

    async def _token_interactive(self) -> Details:
        return _token_details(await self._client.acquire_token_interactive(_SCOPES, login_hint=self._user.upn))

    async def _token_password(self) -> Details:
        user = self._user
        try:
            token = await self._client.acquire_token_by_username_password(user.upn, user.password, _SCOPES)
        except BrokerResponseError as error:
            if not failures.wants_account(error):
                raise
            # Himmelblau ignores user name and password, and reports a missing account.
            return _unsupported("no sign-in with a password")
        return _token_details(token)

    async def _claims_challenge(self) -> Details:
        account = await self._account()
        refused = await self._client.acquire_token_silent(_SCOPES, account)
        self._broker.revoke(self._user.upn)
        was_refused, challenge = self._verdict(refused)
        if was_refused and challenge is None:
            return _unsupported("its tokens omit client capabilities, so a resource refuses them without a challenge")
        fresh = await self._client.acquire_token_silent(
            _SCOPES, account, claims_challenge=challenge, access_token_to_renew=refused.access_token
        )
        accepted = self._verdict(fresh) == (False, None)
        outcome = {"ok": was_refused and accepted, "old_token_refused": was_refused, "new_token_accepted": accepted}
        return {**_token_details(fresh), "challenge": challenge, **outcome}

    async def _token_pop(self) -> Details:
        result = await self._client.acquire_token_silent(_SCOPES, await self._account(), auth_scheme=_REQUEST)
        return {**_token_details(result), **_bound_request(result.access_token)}

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
        gone = account.local_account_id not in {item.local_account_id for item in left}
        details: Details = {
            "ok": gone,
            "signed_out": account.username,
            "tenant": account.realm,
            "accounts_left": [_account_details(item) for item in left],
        }
        if any(item.home_account_id == account.home_account_id for item in left):
            details["note"] = "a user has one account in each tenant; the accounts in other tenants stay signed in"
        return details

    async def _account(self) -> Account:
        account = await self._client.get_account(self._user.upn)
        if account is None:
            raise DemoUnavailableError(f"the fake broker does not list {self._user.upn}")
        return account

    def _verdict(self, token: TokenResult) -> tuple[bool, str | None]:
        """Whether a resource refuses the token, and the claims challenge that it returns, if any."""
        from linuxbroker_fake import RevokedTokenError

        try:
            self._broker.verify_access_token(token.access_token)
        except RevokedTokenError as revoked:
            return True, revoked.challenge
        except ValueError:
            return True, None
        return False, None


async def _run_step(step: Callable[[], Awaitable[Details]]) -> Details:
    try:
        return await step()
    except UnsupportedOperationError as error:
        return _unsupported(error.context or "the broker gives no reason")
    except (BrokerError, DemoUnavailableError, asyncio.TimeoutError) as error:
        return {"ok": False, **output.error_json(error, str(error) or "timed out")}


def _unsupported(reason: str) -> Details:
    return {"ok": False, "unsupported": True, "reason": reason}


def _account_details(account: Account) -> Details:
    return {"username": account.username, "tenant": account.realm}


def _token_details(token: TokenResult) -> Details:
    claims = _claims(token.access_token)
    return {
        "ok": bool(claims),
        "token_type": token.token_type,
        "expires_on": output.timestamp(token.expires_on),
        "scopes": list(token.scopes),
        "username": token.account.username if token.account else None,
        "claims": claims,
    }


def _claims(token: str) -> Details:
    """The claims that describe a token's purpose; for a signed HTTP request, those of the token inside."""
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


def _format_step(step: Details, tenant_names: Mapping[str, str]) -> str:
    if step.get("unsupported"):
        return f"    not supported by this broker: {texts.shown(str(step['reason']))}"
    lines = ["    done" if step["ok"] else "    FAILED"]
    for name, value in step.items():
        if name != "ok":
            lines.append(f"    {name}: {texts.shown(_format_value(value, tenant_names), texts.MAX_MESSAGE_CHARACTERS)}")
    return "\n".join(lines)


def _format_value(value: object, tenant_names: Mapping[str, str]) -> str:
    """One line for a value of a step; a tenant is shown by its name."""
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return ", ".join(f"{name}={_format_value(item, tenant_names)}" for name, item in items)
    if isinstance(value, list):
        return "; ".join(_format_value(item, tenant_names) for item in cast("list[object]", value))
    return tenant_names.get(str(value), str(value))


def _summary(steps: Mapping[str, Details]) -> str:
    """The last lines: how many steps succeeded, that all of it was local, and what to try next."""
    unsupported = sum(1 for step in steps.values() if step.get("unsupported"))
    failed = [name for name, step in steps.items() if not step["ok"] and not step.get("unsupported")]
    counts = [f"{sum(1 for step in steps.values() if step['ok'])} of {len(steps)} steps succeeded"]
    if unsupported:
        counts.append(f"{unsupported} not supported by this broker")
    if failed:
        counts.append(f"{len(failed)} FAILED: {', '.join(failed)}")
    return (
        f"\n{'; '.join(counts)}.\n"
        "Nothing left this machine: the broker, its users and its tokens are fake.\n"
        "Next: 'linuxbroker version' looks for a real broker on your session bus; "
        "'linuxbroker-fake exec -- COMMAND' runs your program against the fake one."
    )
