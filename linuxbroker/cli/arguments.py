"""What can be typed after ``linuxbroker``? The subcommands and their options, as a typed namespace."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from linuxbroker.authority import is_tenant
from linuxbroker.trust.policy import TRUST_POLICIES, TrustPolicy

CLIENT_ID_VARIABLE = "LINUXBROKER_CLIENT_ID"
DEFAULT_PERSONA = "microsoft-3.0.2"
RUN_USAGE = "linuxbroker run [--force] [--trust POLICY] [-m MODULE | SCRIPT] [ARGS ...]"
# For commands in which the client id reaches no app registration; a valid UUID that is nobody's.
_NO_CLIENT_ID = "00000000-0000-0000-0000-000000000001"
_COMMANDS_WITHOUT_CLIENT_ID = ("demo", "version", "monitor")
_PROMPTS = ("select_account", "login", "consent", "none")
_EXIT_CODES = """\
exit codes:
  0  done
  1  another failure
  2  the command line can't be right
  3  no session bus, or no broker that answers
  4  the user has to sign in: linuxbroker token --interactive
  5  cancelled
"""


class UsageError(Exception):
    """The command line can't be right; the text says why, and where the help is."""


class Arguments(argparse.Namespace):
    """What was typed. Options of another subcommand have the values that they have when they are not given."""

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
    """Read a command line.

    Args:
        argv: what was typed after the program's name.

    Returns:
        The arguments; ``client_id`` is never empty.

    Raises:
        UsageError: it can't be right.
        SystemExit: it asked for help, which is printed.
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
    """What can be wrong with options that are right one by one: whether it is, and what to say then."""
    silent_only, interactive_only = arguments.interactive is False, arguments.interactive is True
    return (
        (
            not arguments.client_id and arguments.command not in _COMMANDS_WITHOUT_CLIENT_ID,
            f"no client id: give --client-id UUID, or set {CLIENT_ID_VARIABLE}, to the 'Application (client) ID' of an "
            "app registration in the Entra admin center",
        ),
        ((arguments.pop_method is None) != (arguments.pop_url is None), "--pop-method and --pop-url go together"),
        (
            arguments.pop_nonce is not None and arguments.pop_url is None,
            "--pop-nonce needs --pop-method and --pop-url",
        ),
        (
            interactive_only and arguments.renew,
            "--renew refreshes silently; it does not go with --interactive, whose token is fresh anyway",
        ),
        (
            silent_only and (arguments.prompt is not None or arguments.login_hint is not None),
            "--prompt and --login-hint are for an interactive sign-in; they don't go with --no-interactive",
        ),
        (
            arguments.account is not None and arguments.login_hint is not None,
            "--login-hint is for a user without an account at the broker; it does not go with --account",
        ),
    )


def _parser(only: str) -> tuple[_Parser, dict[str, _Parser]]:
    """The parser, and those of the commands; of one alone where ``only`` names it, as each takes its time to make."""
    parser = _Parser(
        prog="linuxbroker",
        description="Ask the Linux identity broker for accounts, tokens and cookies.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # Unless it is told the program's name, argparse formats a usage text to find it in there.
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
                help="run a program on MSAL's broker support, with a stand-in for pymsalruntime",
                description="Run a program as python does, with a stand-in for pymsalruntime in place.",
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
        "--client-id", default="", metavar="UUID", help=f"the app's client id (or {CLIENT_ID_VARIABLE})"
    )
    parser.add_argument("--authority", metavar="URL", help="https://HOST/TENANT; Entra's, for any tenant, unless given")
    parser.add_argument("--bus-address", metavar="ADDRESS", help="a D-Bus address; the session bus unless given")
    _add_trust(parser)
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="the time limit of each call that waits for no person"
    )


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust",
        choices=TRUST_POLICIES,
        default="off",
        help="what to do when the program that owns the broker's bus name is no broker's; off unless given",
    )
    parser.add_argument(
        "--trusted-program",
        action="append",
        default=[],
        dest="trusted_programs",
        metavar="PATH",
        help="a program of root's that --trust takes for a broker too; can be given several times",
    )
    parser.add_argument(
        "--allow-bus-of-other-user",
        action="store_true",
        help="sign in, and send tokens, over a bus of another user who is not root",
    )


def _add_account(parser: _Parser, *, required: bool = False) -> None:
    parser.add_argument(
        "--account",
        required=required,
        type=_not_empty,
        metavar="UPN",
        help="whose" if required else "whose; the broker's first account unless given",
    )
    parser.add_argument("--tenant", type=_tenant, metavar="ID", help="the account's record in this tenant (its id)")


def _add_required_account(parser: _Parser) -> None:
    _add_account(parser, required=True)


def _add_token(parser: _Parser) -> None:
    parser.add_argument(
        "--scope",
        dest="scopes",
        required=True,
        nargs="+",
        action="extend",
        metavar="SCOPE",
        help="what the token is for, such as https://graph.microsoft.com/User.Read; can be given again",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--interactive",
        dest="interactive",
        action="store_const",
        const=True,
        help="ask the user at once; otherwise only if need be, and only on a terminal",
    )
    how.add_argument(
        "--no-interactive", dest="interactive", action="store_const", const=False, help="never ask the user"
    )
    parser.add_argument("--claims", metavar="JSON", help="the claims challenge of the resource, decoded")
    parser.add_argument("--prompt", choices=_PROMPTS, help="what Entra shows in an interactive sign-in")
    parser.add_argument("--login-hint", type=_not_empty, metavar="UPN", help="who is about to sign in interactively")
    parser.add_argument("--pop-method", metavar="METHOD", help="bind the token to a request of this HTTP method")
    parser.add_argument("--pop-url", metavar="URL", help="bind the token to a request of this URL")
    parser.add_argument("--pop-nonce", metavar="NONCE", help="the nonce that the resource gave")
    parser.add_argument("--renew", action="store_true", help="get the token at hand replaced by a fresh one")


def _add_cookie(parser: _Parser) -> None:
    parser.add_argument("--url", metavar="URL", help="the login page's URL, with its sso_nonce; Entra's unless given")


def _add_sign_request(parser: _Parser) -> None:
    parser.add_argument("--method", required=True, metavar="METHOD", help="the request's HTTP method")
    parser.add_argument("--url", required=True, metavar="URL", help="the request's https URL")
    parser.add_argument("--nonce", metavar="NONCE", help="the nonce that the resource gave")
    parser.add_argument("--client-claims", metavar="JSON", help="a JSON object to sign along")


def _add_monitor(parser: _Parser) -> None:
    parser.add_argument("--count", type=_count, metavar="N", help="end after N lines; the first tells the state now")


def _add_run(parser: argparse.ArgumentParser) -> None:
    """For the help alone: what stands behind the program's name is the program's (``linuxbroker.cli.run``)."""
    parser.add_argument("-m", metavar="MODULE", help="a module to run, as with python -m")
    parser.add_argument("script", metavar="SCRIPT", nargs="?", help="or a script")
    parser.add_argument("arguments", metavar="ARGS", nargs="*", help="the program's own arguments")
    parser.add_argument(
        "--force", action="store_true", help="take the place of an installed pymsalruntime too; else that is used"
    )
    _add_trust(parser)


def _add_demo(parser: _Parser) -> None:
    parser.add_argument(
        "--persona", default=DEFAULT_PERSONA, help=f"which broker to fake; {DEFAULT_PERSONA} unless given"
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def _tenant(text: str) -> str:
    if not is_tenant(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a tenant's id")
    return text


_COMMANDS: Mapping[str, tuple[str, Sequence[Callable[[_Parser], None]]]] = {
    "demo": ("walk through every operation against a fake broker on a private bus", (_add_demo,)),
    "accounts": ("list the accounts that are signed in to the broker", (_add_client, _add_account)),
    "token": ("get an access token", (_add_client, _add_account, _add_token)),
    "cookie": ("get the cookies that sign a browser in to Entra", (_add_client, _add_account, _add_cookie)),
    "sign-request": ("sign an HTTP request with the device's key", (_add_client, _add_account, _add_sign_request)),
    "sign-out": ("sign an account out of the app", (_add_client, _add_required_account)),
    "version": ("show the broker's version and the library's", (_add_client,)),
    "monitor": ("print a line whenever the broker comes or goes", (_add_client, _add_monitor)),
}
