"""What does each subcommand do? A coroutine for each, which asks the client and writes the result."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timezone

from linuxbroker import texts, validation
from linuxbroker._version import __version__
from linuxbroker.accounts import folded, named
from linuxbroker.authority import authority_for_realm
from linuxbroker.cli import output
from linuxbroker.cli.arguments import Arguments
from linuxbroker.client import DEFAULT_AUTHORITY, BrokerClient
from linuxbroker.errors import InteractionRequiredError
from linuxbroker.models import Account
from linuxbroker.pop import PopAuthScheme
from linuxbroker.results import TokenResult
from linuxbroker.transport import Timeouts


class NoAccountError(Exception):
    """The broker has no account to work with."""


class UnknownAccountError(Exception):
    """The account that was named is not among the broker's."""


def make_client(arguments: Arguments) -> BrokerClient:
    """Make the client that a command line describes. Nothing is sent yet.

    Args:
        arguments: the command line.

    Returns:
        The client.

    Raises:
        InvalidArgumentError: the client id, the authority or a path can't be right.
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


def _timeouts(seconds: float | None) -> Timeouts:
    usual = Timeouts()
    if seconds is None:
        return usual
    return Timeouts(connect=min(seconds, usual.connect or seconds), call=seconds)


async def accounts(client: BrokerClient, arguments: Arguments) -> None:
    """List the accounts; ``--account`` and ``--tenant`` narrow the list.

    Args:
        client: of the broker.
        arguments: the command line.

    Raises:
        BrokerError: the broker can't list them.
        OutputError: standard output can't be written to.
    """
    listed = await client.get_accounts()
    if arguments.account is not None:
        listed = named(listed, arguments.account)
    if arguments.tenant is not None:
        listed = [account for account in listed if folded(account.realm) == folded(arguments.tenant)]
    if arguments.json:
        output.write_json([output.account_json(account) for account in listed])
    elif listed:
        output.write_line(output.accounts_table(listed))
    else:
        output.write_error("the broker lists no such account, or none at all")


async def token(client: BrokerClient, arguments: Arguments) -> None:
    """Get an access token: silently, and if need be by asking the user.

    Args:
        client: of the broker.
        arguments: the command line.

    Raises:
        NoAccountError, UnknownAccountError: there is nobody to get it for.
        BrokerError: no token came.
        OutputError: standard output can't be written to.
    """
    # The client checks these too, but only after the first call of the broker.
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
    may_ask = arguments.interactive is not False and (arguments.interactive or _on_a_terminal())
    account: Account | None = None
    if arguments.interactive:
        if arguments.account is not None:
            account = await _account(client, arguments)
    else:
        try:
            if arguments.login_hint is None:
                account = await _account(client, arguments)
            else:
                account = await _hinted_account(client, arguments.login_hint, arguments.tenant)
            return await _silent_token(client, arguments, scheme, account)
        except (NoAccountError, InteractionRequiredError):
            if not may_ask:
                raise
        output.write_error("the user has to sign in: waiting for the broker's window (Ctrl-C cancels)")
    return await client.acquire_token_interactive(
        arguments.scopes,
        account=account,
        prompt=arguments.prompt,
        login_hint=arguments.login_hint,
        claims_challenge=arguments.claims,
        auth_scheme=scheme,
    )


async def _silent_token(
    client: BrokerClient, arguments: Arguments, scheme: PopAuthScheme | None, account: Account
) -> TokenResult:
    challenge = arguments.claims
    if not arguments.renew:
        return await client.acquire_token_silent(
            arguments.scopes, account, claims_challenge=challenge, auth_scheme=scheme
        )
    # The token that the resource refused is the one from before the challenge.
    refused = await client.acquire_token_silent(arguments.scopes, account, auth_scheme=scheme)
    return await client.acquire_token_silent(
        arguments.scopes,
        account,
        claims_challenge=challenge,
        auth_scheme=scheme,
        access_token_to_renew=refused.access_token,
    )


async def cookie(client: BrokerClient, arguments: Arguments) -> None:
    """Get the cookies that sign a browser in to Entra, as HTTP header lines.

    Args:
        client: of the broker.
        arguments: the command line.

    Raises:
        NoAccountError, UnknownAccountError: there is nobody to get them for.
        BrokerError: none came.
        OutputError: standard output can't be written to.
    """
    url = None if arguments.url is None else validation.https_url("--url", arguments.url)
    account = await _account(client, arguments)
    cookies = await client.acquire_prt_sso_cookie(account, url)
    if arguments.json:
        output.write_json(output.cookies_json(cookies, account))
    else:
        output.write_line("\n".join(f"{item.name}: {item.content}" for item in cookies))


async def sign_request(client: BrokerClient, arguments: Arguments) -> None:
    """Sign an HTTP request with the device's key.

    Args:
        client: of the broker.
        arguments: the command line.

    Raises:
        NoAccountError, UnknownAccountError: there is nobody to sign for.
        BrokerError: the broker can't sign it.
        OutputError: standard output can't be written to.
    """
    scheme = PopAuthScheme(
        http_method=arguments.method, url=arguments.url, nonce=arguments.nonce, client_claims=arguments.client_claims
    )
    account = await _account(client, arguments)
    signed = await client.generate_signed_http_request(account, scheme)
    if arguments.json:
        output.write_json({"signed_http_request": signed, "account": output.account_json(account)})
    else:
        output.write_line(signed)


async def sign_out(client: BrokerClient, arguments: Arguments) -> None:
    """Sign an account out of the app.

    Args:
        client: of the broker.
        arguments: the command line.

    Raises:
        UnknownAccountError: there is no such account.
        BrokerError: the broker can't.
        OutputError: standard output can't be written to.
    """
    account = await _account(client, arguments)
    await client.remove_account(account)
    if arguments.json:
        output.write_json({"signed_out": output.account_json(account)})
    else:
        output.write_line(f"signed out {texts.shown(account.username)} (tenant {texts.shown(account.realm)})")


async def version(client: BrokerClient, arguments: Arguments) -> None:
    """Show the library's version and the broker's.

    Args:
        client: of the broker.
        arguments: the command line.

    Raises:
        BrokerError: the broker does not tell its version.
        OutputError: standard output can't be written to.
    """
    if not arguments.json:
        output.write_line(f"linuxbroker {__version__}")
    broker = await client.get_linux_broker_version()
    if arguments.json:
        output.write_json({"linuxbroker": __version__, "broker": broker})
    else:
        output.write_line(f"broker {texts.shown(broker)}")


async def monitor(client: BrokerClient, arguments: Arguments) -> None:
    """Print the broker's presence now, then each change of it.

    Args:
        client: of the broker.
        arguments: the command line.

    Raises:
        BrokerUnreachableError: the bus can't be reached, or ended.
        OutputError: standard output can't be written to.
    """
    seen = 0
    # It is an async generator, declared as what it is read as.
    async with aclosing(client.watch()) as changes:
        async for presence in changes:
            if arguments.json:
                now = output.timestamp(datetime.now(timezone.utc))
                output.write_json({"presence": presence.value, "time": now})
            else:
                output.write_line(presence.value)
            seen += 1
            if seen == arguments.count:
                return


async def _account(client: BrokerClient, arguments: Arguments) -> Account:
    """The account that the command line names, or the first one where it names none."""
    if arguments.account is not None:
        found = await client.get_account(arguments.account, arguments.tenant)
        if found is None:
            raise UnknownAccountError(_unknown(arguments.account, arguments.tenant, await client.get_accounts()))
        return found
    for account in await client.get_accounts():
        if arguments.tenant is None or folded(account.realm) == folded(arguments.tenant):
            return account
    where = "" if arguments.tenant is None else f" in tenant {arguments.tenant}"
    raise NoAccountError(f"no account is signed in to the broker{where}. {_HOW_TO_SIGN_IN}")


async def _hinted_account(client: BrokerClient, login_hint: str, tenant: str | None) -> Account:
    found = await client.get_account(login_hint, tenant)
    if found is None:
        raise NoAccountError(f"{texts.shown(login_hint)} is not signed in to the broker. {_HOW_TO_SIGN_IN}")
    return found


def _unknown(username: str, tenant: str | None, known: Sequence[Account]) -> str:
    where = "" if tenant is None else f" in tenant {texts.shown(tenant)}"
    names = texts.shown_list(dict.fromkeys(account.username for account in known)) or "none"
    return (
        f"the broker has no account {texts.shown(username)}{where}; it has: {names}. To sign another user in: "
        "linuxbroker token --interactive --login-hint UPN --scope SCOPE"
    )


def _on_a_terminal() -> bool:
    return bool(sys.stdin) and not sys.stdin.closed and sys.stdin.isatty()


_HOW_TO_SIGN_IN = "Sign in with: linuxbroker token --interactive --scope SCOPE"

OPERATIONS: Mapping[str, Callable[[BrokerClient, Arguments], Awaitable[None]]] = {
    "accounts": accounts,
    "token": token,
    "cookie": cookie,
    "sign-request": sign_request,
    "sign-out": sign_out,
    "version": version,
    "monitor": monitor,
}
