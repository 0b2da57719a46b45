"""The subcommands: a coroutine for each, which calls the client and writes the result."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timezone

from linuxbroker._version import __version__
from linuxbroker.call.transport import Timeouts
from linuxbroker.cli import output
from linuxbroker.cli.arguments import Arguments
from linuxbroker.client import DEFAULT_AUTHORITY, BrokerClient
from linuxbroker.errors import InteractionRequiredError
from linuxbroker.redaction import texts
from linuxbroker.results import TokenResult
from linuxbroker.tokens import validation
from linuxbroker.tokens.accounts import folded, named
from linuxbroker.tokens.authority import authority_for_realm
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.wire.models import Account


class NoAccountError(Exception):
    """The broker has no account to use."""


class UnknownAccountError(Exception):
    """The broker does not have the account that the command line names."""


def make_client(arguments: Arguments) -> BrokerClient:
    """Make the client that a command line describes. Nothing is sent.

    Args:
        arguments: the command line.

    Returns:
        The client.

    Raises:
        InvalidArgumentError: the client ID, the authority or a path is invalid.
    """
    authority = DEFAULT_AUTHORITY if arguments.authority is None else validation.authority(arguments.authority)
    return BrokerClient(
        arguments.client_id,
        authority=authority_for_realm(authority, arguments.tenant or ""),
        bus_address=arguments.bus_address,
        timeouts=_timeouts(arguments.timeout),
        trust=arguments.trust,
        trusted_programs=arguments.trusted_programs,
        allow_bus_of_other_user=arguments.allow_bus_of_other_user,
    )


def option_message(message: str, command: str) -> str:
    """Name the option of the command line in a message about an argument of the library.

    Args:
        message: the message; it begins with the argument's name, such as ``claims_challenge``.
        command: the subcommand.

    Returns:
        The message with the option's name, such as ``--claims``, instead.
    """
    name, space, rest = message.partition(" ")
    options = {**_OPTIONS, **(_TOKEN_OPTIONS if command == "token" else _SIGN_REQUEST_OPTIONS)}
    return f"{options.get(name, name)}{space}{rest}"


def _timeouts(seconds: float | None) -> Timeouts:
    default = Timeouts()
    if seconds is None:
        return default
    return Timeouts(connect=min(seconds, default.connect or seconds), call=seconds)


async def accounts(client: BrokerClient, arguments: Arguments) -> None:
    """List the accounts; ``--account`` and ``--tenant`` narrow the list.

    Args:
        client: the client.
        arguments: the command line.

    Raises:
        BrokerError: the broker did not list the accounts.
        OutputError: standard output cannot be written to.
    """
    matching = await client.get_accounts()
    if arguments.account is not None:
        matching = named(matching, arguments.account)
    if arguments.tenant is not None:
        matching = [account for account in matching if folded(account.realm) == folded(arguments.tenant)]
    if arguments.json:
        output.write_json([output.account_json(account) for account in matching])
    elif matching:
        output.write_line(output.accounts_table(matching))
    else:
        output.write_error("no matching account")


async def token(client: BrokerClient, arguments: Arguments) -> None:
    """Get an access token, silently or, if required, by a sign-in.

    Args:
        client: the client.
        arguments: the command line.

    Raises:
        NoAccountError, UnknownAccountError: there is no account to get it for.
        BrokerError: the broker returned no token.
        OutputError: standard output cannot be written to.
    """
    # The client checks these too, but only after the first call to the broker.
    validation.scopes(arguments.scopes)
    validation.claims_challenge(arguments.claims)
    scheme = None
    if arguments.pop_url is not None:
        scheme = PopAuthScheme(http_method=arguments.pop_method, url=arguments.pop_url, nonce=arguments.pop_nonce)
    result = await _token(client, arguments, scheme)
    if arguments.json:
        output.write_json(output.token_json(result))
    else:
        output.write_line(result.access_token)


async def _token(client: BrokerClient, arguments: Arguments, scheme: PopAuthScheme | None) -> TokenResult:
    interaction_allowed = arguments.interactive is not False and (arguments.interactive or _is_on_terminal())
    account: Account | None = None
    if arguments.interactive:
        if arguments.account is not None:
            account = await _select_account(client, arguments)
    else:
        try:
            if arguments.login_hint is None:
                account = await _select_account(client, arguments)
            else:
                account = await _find_hinted_account(client, arguments.login_hint, arguments.tenant)
            rejected: TokenResult | None = None
            if arguments.renew:  # the resource rejected the token without the claims
                rejected = await client.acquire_token_silent(arguments.scopes, account, auth_scheme=scheme)
            return await client.acquire_token_silent(
                arguments.scopes,
                account,
                claims_challenge=arguments.claims,
                auth_scheme=scheme,
                access_token_to_renew=rejected.access_token if rejected else None,
            )
        except (NoAccountError, InteractionRequiredError):
            if not interaction_allowed:
                raise
        output.write_error("sign-in required: continue in the broker's window (Ctrl-C to cancel)")
    return await client.acquire_token_interactive(
        arguments.scopes,
        account=account,
        prompt=arguments.prompt,
        login_hint=arguments.login_hint,
        claims_challenge=arguments.claims,
        auth_scheme=scheme,
    )


async def cookie(client: BrokerClient, arguments: Arguments) -> None:
    """Get the cookies that sign a browser in to Entra, as HTTP header lines.

    Args:
        client: the client.
        arguments: the command line.

    Raises:
        NoAccountError, UnknownAccountError: there is no account to get them for.
        BrokerError: the broker returned no cookie.
        OutputError: standard output cannot be written to.
    """
    url = None if arguments.url is None else validation.https_url("--url", arguments.url)
    account = await _select_account(client, arguments)
    cookies = await client.acquire_prt_sso_cookie(account, url)
    if arguments.json:
        output.write_json(output.cookies_json(cookies, account))
    else:
        output.write_line("\n".join(f"{item.name}: {item.content}" for item in cookies))


async def sign_request(client: BrokerClient, arguments: Arguments) -> None:
    """Sign an HTTP request with the device's key.

    Args:
        client: the client.
        arguments: the command line.

    Raises:
        NoAccountError, UnknownAccountError: there is no account to sign for.
        BrokerError: the broker did not sign the request.
        OutputError: standard output cannot be written to.
    """
    scheme = PopAuthScheme(
        http_method=arguments.method, url=arguments.url, nonce=arguments.nonce, client_claims=arguments.client_claims
    )
    account = await _select_account(client, arguments)
    signed = await client.generate_signed_http_request(account, scheme)
    if arguments.json:
        output.write_json({"signed_http_request": signed, "account": output.account_json(account)})
    else:
        output.write_line(signed)


async def sign_out(client: BrokerClient, arguments: Arguments) -> None:
    """Sign an account out of the app.

    Args:
        client: the client.
        arguments: the command line.

    Raises:
        UnknownAccountError: there is no such account.
        BrokerError: the broker did not sign the account out.
        OutputError: standard output cannot be written to.
    """
    account = await _select_account(client, arguments)
    await client.remove_account(account)
    if arguments.json:
        output.write_json({"signed_out": output.account_json(account)})
    else:
        output.write_line(f"signed out {texts.shown(account.username)} (tenant {texts.shown(account.realm)})")


async def version(client: BrokerClient, arguments: Arguments) -> None:
    """Show the versions of this library and of the broker.

    Args:
        client: the client.
        arguments: the command line.

    Raises:
        BrokerError: the broker did not report its version.
        OutputError: standard output cannot be written to.
    """
    if not arguments.json:
        output.write_line(f"linuxbroker {__version__}")
    broker = await client.get_linux_broker_version()
    if arguments.json:
        output.write_json({"linuxbroker": __version__, "broker": broker})
    else:
        output.write_line(f"broker {texts.shown(broker)}")


async def monitor(client: BrokerClient, arguments: Arguments) -> None:
    """Print the broker's presence now and on every change.

    Args:
        client: the client.
        arguments: the command line.

    Raises:
        BrokerUnreachableError: the bus is unavailable, or closed the connection.
        OutputError: standard output cannot be written to.
    """
    lines = 0
    # watch() returns an async generator, which aclosing() requires, but declares an async iterator.
    async with aclosing(client.watch()) as changes:
        async for presence in changes:
            if arguments.json:
                now = output.timestamp(datetime.now(timezone.utc))
                output.write_json({"presence": presence.value, "time": now})
            else:
                output.write_line(presence.value)
            lines += 1
            if lines == arguments.count:
                return


async def _select_account(client: BrokerClient, arguments: Arguments) -> Account:
    """Find the account that the command line names, or the first one if it names none."""
    if arguments.account is not None:
        found = await client.get_account(arguments.account, arguments.tenant)
        if found is None:
            raise UnknownAccountError(
                _unknown_account_message(arguments.account, arguments.tenant, await client.get_accounts())
            )
        return found
    for account in await client.get_accounts():
        if arguments.tenant is None or folded(account.realm) == folded(arguments.tenant):
            return account
    where = "" if arguments.tenant is None else f" in tenant {arguments.tenant}"
    raise NoAccountError(f"no account is signed in to the broker{where}. {_SIGN_IN_ADVICE}")


async def _find_hinted_account(client: BrokerClient, login_hint: str, tenant: str | None) -> Account:
    found = await client.get_account(login_hint, tenant)
    if found is None:
        raise NoAccountError(f"{texts.shown(login_hint)} is not signed in to the broker. {_SIGN_IN_ADVICE}")
    return found


def _unknown_account_message(username: str, tenant: str | None, known: Sequence[Account]) -> str:
    where = "" if tenant is None else f" in tenant {texts.shown(tenant)}"
    names = texts.shown_list(dict.fromkeys(account.username for account in known)) or "none"
    return (
        f"no account {texts.shown(username)}{where} in the broker (available: {names}). To add one: "
        "linuxbroker token --interactive --login-hint UPN --scope SCOPE"
    )


def _is_on_terminal() -> bool:
    return bool(sys.stdin) and not sys.stdin.closed and sys.stdin.isatty()


# The options for the library's arguments that have another name.
_OPTIONS = {
    "authority": "--authority",
    "bus_address": "--bus-address",
    "claims_challenge": "--claims",
    "client_id": "--client-id",
    "login_hint": "--login-hint",
    "scopes": "--scope",
    "trust": "--trust",
    "trusted_programs": "--trusted-program",
}
_TOKEN_OPTIONS = {"http_method": "--pop-method", "nonce": "--pop-nonce", "url": "--pop-url"}
_SIGN_REQUEST_OPTIONS = {
    "client_claims": "--client-claims",
    "http_method": "--method",
    "nonce": "--nonce",
    "url": "--url",
}
_SIGN_IN_ADVICE = "Sign in with: linuxbroker token --interactive --scope SCOPE"

OPERATIONS: Mapping[str, Callable[[BrokerClient, Arguments], Awaitable[None]]] = {
    "accounts": accounts,
    "token": token,
    "cookie": cookie,
    "sign-request": sign_request,
    "sign-out": sign_out,
    "version": version,
    "monitor": monitor,
}
