"""The subcommands of ``linuxbroker`` and their options, parsed into a typed namespace."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from linuxbroker.call.trust.policy import TRUST_POLICIES, TrustPolicy
from linuxbroker.tokens.authority import is_tenant
from linuxbroker.wire.names import PROMPTS

CLIENT_ID_VARIABLE = "LINUXBROKER_CLIENT_ID"
DEFAULT_PERSONA = "microsoft-3.0.2"
RUN_USAGE = "linuxbroker run [--force] [--trust POLICY] [-m MODULE | SCRIPT] [ARGS ...]"
# For commands that need no app registration: a valid UUID that no application has.
_NO_CLIENT_ID = "00000000-0000-0000-0000-000000000001"
_COMMANDS_WITHOUT_CLIENT_ID = ("demo", "version", "monitor")
_EXIT_CODES = """\
exit codes:
  0  success
  1  other error
  2  invalid command line or argument
  3  no usable reply: bus or broker unavailable or not trusted, or invalid reply
  4  sign-in required: linuxbroker token --interactive --scope SCOPE
  5  canceled, by the user or with Ctrl-C (which ends 'monitor' with 0)
"""


class UsageError(Exception):
    """The command line is invalid; the message gives the reason and names the help."""


class Arguments(argparse.Namespace):
    """A parsed command line. Options of other subcommands have their defaults."""

    command: str
    json: bool = False
    verbose: bool = False
    bus_address: str | None = None
    timeout: float | None = None
    trust: TrustPolicy = "off"
    trusted_programs: Sequence[str] = ()
    allow_bus_of_other_user: bool = False
    client_id: str = ""
    authority: str | None = None
    account: str | None = None
    tenant: str | None = None
    scopes: list[str]
    interactive: bool | None = None
    claims: str | None = None
    prompt: str | None = None
    login_hint: str | None = None
    renew: bool = False
    pop_method: str | None = None
    pop_url: str | None = None
    pop_nonce: str | None = None
    method: str
    url: str | None = None
    nonce: str | None = None
    client_claims: str | None = None
    count: int | None = None
    persona: str = DEFAULT_PERSONA


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See '{self.prog} --help'.")


def parse(argv: Sequence[str]) -> Arguments:
    """Parse a command line.

    Args:
        argv: the words after the program's name.

    Returns:
        The arguments; ``client_id`` is never empty.

    Raises:
        UsageError: the command line is invalid.
        SystemExit: help was requested; it has been printed.
    """
    parser, commands = _parser(argv[0] if argv and argv[0] in _COMMANDS else "")
    arguments = parser.parse_args(argv, namespace=Arguments())
    if not arguments.client_id:
        arguments.client_id = os.environ.get(CLIENT_ID_VARIABLE, "")
    for problem, text in _problems(arguments):
        if problem:
            commands[arguments.command].error(text)
    if not arguments.client_id:
        arguments.client_id = _NO_CLIENT_ID
    return arguments


def _problems(arguments: Arguments) -> Sequence[tuple[bool, str]]:
    """The rules for combinations of options: whether each is broken, and its message."""
    silent_only, interactive_only = arguments.interactive is False, arguments.interactive is True
    return (
        (
            not arguments.client_id and arguments.command not in _COMMANDS_WITHOUT_CLIENT_ID,
            f"client ID missing: pass --client-id UUID or set {CLIENT_ID_VARIABLE} ('Application (client) ID' of the "
            "app registration in the Entra admin center)",
        ),
        (
            (arguments.pop_method is None) != (arguments.pop_url is None),
            "--pop-method and --pop-url must be used together",
        ),
        (
            arguments.pop_nonce is not None and arguments.pop_url is None,
            "--pop-nonce requires --pop-method and --pop-url",
        ),
        (
            interactive_only and arguments.renew,
            "--renew cannot be used with --interactive, which always returns a new token",
        ),
        (
            silent_only and (arguments.prompt is not None or arguments.login_hint is not None),
            "--prompt and --login-hint cannot be used with --no-interactive",
        ),
        (
            arguments.account is not None and arguments.login_hint is not None,
            "--login-hint cannot be used with --account; it is for a user without an account in the broker",
        ),
    )


def _parser(only: str) -> tuple[_Parser, dict[str, _Parser]]:
    """Make the main parser and those of the commands; only one of these if ``only`` names it, to save time."""
    parser = _Parser(
        prog="linuxbroker",
        description="Get accounts, tokens and cookies from the Linux identity broker.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # Without prog=, argparse formats a usage text to find the program's name.
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, prog=parser.prog)
    commands: dict[str, _Parser] = {}
    for name, (summary, groups) in _COMMANDS.items():
        if only in ("", name):
            commands[name] = added = subparsers.add_parser(
                name,
                help=summary,
                description=f"{summary[0].upper()}{summary[1:]}.",
                epilog=_EXIT_CODES,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
            for add_options in (_add_output, *groups):
                add_options(added)
    if not only:
        _add_run(
            subparsers.add_parser(
                "run",
                help="run a Python program with linuxbroker's replacement for pymsalruntime",
                description="Run a Python program, as python does, with linuxbroker's replacement for pymsalruntime.",
                usage=RUN_USAGE,
                allow_abbrev=False,
            )
        )
    return parser, commands


def _add_output(parser: _Parser) -> None:
    parser.add_argument("--json", action="store_true", help="write JSON to standard output")
    parser.add_argument("--verbose", action="store_true", help="write a debug log to standard error")


def _add_client(parser: _Parser) -> None:
    parser.add_argument(
        "--client-id",
        default="",
        metavar="UUID",
        help=f"client ID of the app registration (default: the variable {CLIENT_ID_VARIABLE})",
    )
    parser.add_argument(
        "--authority",
        metavar="URL",
        help="https://HOST/TENANT (default: https://login.microsoftonline.com/common)",
    )
    parser.add_argument("--bus-address", metavar="ADDRESS", help="D-Bus address (default: the session bus)")
    _add_trust(parser)
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="time limit of each non-interactive call (default: 60)",
    )


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust",
        choices=TRUST_POLICIES,
        default="off",
        help="what to do if the owner of the broker's bus name is not a trusted program (default: off)",
    )
    parser.add_argument(
        "--trusted-program",
        action="append",
        default=[],
        dest="trusted_programs",
        metavar="PATH",
        help="another program, owned by root, that --trust accepts as a broker; repeatable",
    )
    parser.add_argument(
        "--allow-bus-of-other-user",
        action="store_true",
        help="sign in and send tokens even if the bus belongs to another user who is not root",
    )


def _add_account(
    parser: _Parser,
    *,
    account_help: str = "account to use (default: the first one that the broker lists)",
    required: bool = False,
) -> None:
    parser.add_argument("--account", required=required, type=_not_empty, metavar="UPN", help=account_help)
    parser.add_argument("--tenant", type=_tenant, metavar="ID", help="tenant ID of the account")


def _add_account_filter(parser: _Parser) -> None:
    _add_account(parser, account_help="list only the accounts of this user")


def _add_token_account(parser: _Parser) -> None:
    _add_account(
        parser,
        account_help="account to use (default: the first one that the broker lists; with --interactive, the user "
        "chooses)",
    )


def _add_required_account(parser: _Parser) -> None:
    _add_account(parser, account_help="account to sign out", required=True)


def _add_token(parser: _Parser) -> None:
    parser.add_argument(
        "--scope",
        dest="scopes",
        required=True,
        nargs="+",
        action="extend",
        metavar="SCOPE",
        help="scope to request, such as https://graph.microsoft.com/User.Read; repeatable",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--interactive",
        dest="interactive",
        action="store_const",
        const=True,
        help="start an interactive sign-in (default: only if required, and only on a terminal)",
    )
    mode.add_argument(
        "--no-interactive", dest="interactive", action="store_const", const=False, help="never start a sign-in"
    )
    parser.add_argument("--claims", metavar="JSON", help="claims challenge from the resource, decoded")
    parser.add_argument("--prompt", choices=PROMPTS, help="what Entra shows in an interactive sign-in")
    parser.add_argument("--login-hint", type=_not_empty, metavar="UPN", help="UPN to prefill in an interactive sign-in")
    parser.add_argument("--pop-method", metavar="METHOD", help="HTTP method of the request to bind the token to")
    parser.add_argument("--pop-url", metavar="URL", help="https URL of the request to bind the token to")
    parser.add_argument("--pop-nonce", metavar="NONCE", help="nonce from the resource")
    parser.add_argument("--renew", action="store_true", help="request a new token even if the broker has a cached one")


def _add_cookie(parser: _Parser) -> None:
    parser.add_argument(
        "--url",
        metavar="URL",
        help="login page URL, including sso_nonce (default: https://login.microsoftonline.com/)",
    )


def _add_sign_request(parser: _Parser) -> None:
    parser.add_argument("--method", required=True, metavar="METHOD", help="HTTP method of the request")
    parser.add_argument("--url", required=True, metavar="URL", help="https URL of the request")
    parser.add_argument("--nonce", metavar="NONCE", help="nonce from the resource")
    parser.add_argument("--client-claims", metavar="JSON", help="JSON object to include in the signed request")


def _add_monitor(parser: _Parser) -> None:
    parser.add_argument(
        "--count", type=_count, metavar="N", help="exit after N lines; the first line is the current state"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    """Add the options for the help only: ``linuxbroker.cli.run`` parses them, as all later words are the program's."""
    parser.add_argument("-m", metavar="MODULE", help="module to run, as with python -m")
    parser.add_argument("script", metavar="SCRIPT", nargs="?", help="script to run")
    parser.add_argument("arguments", metavar="ARGS", nargs="*", help="arguments of the program")
    parser.add_argument("--force", action="store_true", help="replace an installed pymsalruntime too (default: use it)")
    _add_trust(parser)


def _add_demo(parser: _Parser) -> None:
    parser.add_argument("--persona", default=DEFAULT_PERSONA, help=f"broker to emulate (default: {DEFAULT_PERSONA})")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds greater than 0, not {text!r}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number greater than 0, not {text!r}")
    return int(text)


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _tenant(text: str) -> str:
    if not is_tenant(text):
        raise argparse.ArgumentTypeError(f"invalid tenant ID: {text!r}")
    return text


_COMMANDS: Mapping[str, tuple[str, Sequence[Callable[[_Parser], None]]]] = {
    "demo": ("run every operation against a fake broker on a private bus", (_add_demo,)),
    "accounts": ("list the accounts that are signed in to the broker", (_add_client, _add_account_filter)),
    "token": ("get an access token", (_add_client, _add_token_account, _add_token)),
    "cookie": ("get the cookies that sign a browser in to Entra", (_add_client, _add_account, _add_cookie)),
    "sign-request": ("sign an HTTP request with the device's key", (_add_client, _add_account, _add_sign_request)),
    "sign-out": ("sign an account out of the app", (_add_client, _add_required_account)),
    "version": ("show the versions of linuxbroker and of the broker", (_add_client,)),
    "monitor": ("print the broker's state now and on every change", (_add_client, _add_monitor)),
}
