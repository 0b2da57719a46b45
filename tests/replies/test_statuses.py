"""Failures of a broker, and its absence: the exception for each, with all that is known in it."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import linuxbroker
from linuxbroker import (
    Account,
    AccountNotFoundError,
    AccountUnusableError,
    ApiContractError,
    BrokerClient,
    BrokerError,
    BrokerNotInstalledError,
    BrokerResponseError,
    BrokerStartError,
    CanceledError,
    ConfigurationError,
    DeclinedScopesError,
    DeviceNotRegisteredError,
    InteractionRequiredError,
    NoNetworkError,
    NoSessionBusError,
    RedirectUriError,
    ServerUnavailableError,
    Status,
    Timeouts,
    UnsupportedOperationError,
    UserCanceledError,
    errors,
)
from linuxbroker.call.causes import cause_of_text
from linuxbroker_fake import FakeConfig, PersonaName, RunningFake
from tests.constants import CLIENT_ID, SCOPES

CORRELATION_ID = "00000000-0000-0000-0000-0000000000cc"
UPN = "ada@contoso.example"
ADA = Account(
    home_account_id="00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
    realm="00000000-0000-0000-0000-0000000000f1",
    username=UPN,
)
NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"

# Each status on the wire, the name that Microsoft's runtime gives it, the class that an application catches.
STATUSES: list[tuple[int, str, type[BrokerResponseError]]] = [
    (0, "Unexpected", BrokerResponseError),
    (1, "Reserved", BrokerResponseError),
    (2, "InteractionRequired", InteractionRequiredError),
    (3, "NoNetwork", NoNetworkError),
    (4, "NetworkTemporarilyUnavailable", NoNetworkError),
    (5, "ServerTemporarilyUnavailable", ServerUnavailableError),
    (6, "ApiContractViolation", ApiContractError),
    (7, "UserCanceled", UserCanceledError),
    (8, "ApplicationCanceled", CanceledError),
    (9, "IncorrectConfiguration", ConfigurationError),
    (10, "InsufficientBuffer", BrokerResponseError),
    (11, "AuthorityUntrusted", ConfigurationError),
    (12, "UserSwitch", AccountUnusableError),
    (13, "AccountUnusable", AccountUnusableError),
    (14, "UserDataRemovalRequired", AccountUnusableError),
    (15, "TransientError", ServerUnavailableError),
    (16, "AccountSwitch", AccountUnusableError),
    (17, "DeviceNotRegistered", DeviceNotRegisteredError),
    (18, "KeyNotFound", AccountUnusableError),
    (19, "AccountNotFound", AccountNotFoundError),
    (20, "RequiredBrokerMissing", ConfigurationError),
    (21, "FallbackToNativeMsal", BrokerResponseError),
]
AND_AN_UNKNOWN_ONE = [*STATUSES, (99, "Unexpected", BrokerResponseError)]
NUMBERS = [number for number, _, _ in AND_AN_UNKNOWN_ONE]
# What a message must tell the reader to do.
ADVICE: list[tuple[int, str]] = [
    (2, "acquire_token_interactive"),
    (3, "network connection"),
    (4, "network connection"),
    (5, "Try again"),
    (9, "app registration"),
    (11, "authority"),
    (13, "get_accounts"),
    (15, "Try again"),
    (17, "Company Portal"),
    (19, "get_accounts"),
    (20, "app registration"),
]


@pytest.fixture(scope="module")
def microsoft() -> Iterator[RunningFake]:
    with RunningFake(FakeConfig(persona=PersonaName.MICROSOFT_2_5_2)) as running:
        yield running


@pytest.fixture(scope="module")
def java_broker() -> Iterator[RunningFake]:
    with RunningFake(FakeConfig(persona=PersonaName.MICROSOFT_JAVA)) as running:
        yield running


@pytest.fixture(scope="module")
def himmelblau() -> Iterator[RunningFake]:
    with RunningFake(FakeConfig(persona=PersonaName.HIMMELBLAU_4_0)) as running:
        yield running


@pytest.fixture(autouse=True)
def as_at_the_start(request: pytest.FixtureRequest) -> None:
    """Take the faults of the test before back."""
    for name in ("microsoft", "java_broker", "himmelblau"):
        if name in request.fixturenames:
            running: RunningFake = request.getfixturevalue(name)
            running.reset()


@pytest.fixture
async def client(microsoft: RunningFake) -> AsyncIterator[BrokerClient]:
    async with BrokerClient(CLIENT_ID, bus_address=microsoft.address) as client:
        yield client


async def silent_failure(client: BrokerClient) -> BrokerResponseError:
    with pytest.raises(BrokerResponseError) as caught:
        await client.acquire_token_silent(SCOPES, ADA, correlation_id=CORRELATION_ID)
    return caught.value


def test_every_status_is_tested() -> None:
    assert [number for number, _, _ in STATUSES] == [status.value for status in Status] == list(range(22))


@pytest.mark.parametrize(("number", "name", "expected"), AND_AN_UNKNOWN_ONE, ids=NUMBERS)
@pytest.mark.parametrize("top_level", [False, True], ids=["nested", "top level"])
async def test_a_status_becomes_its_class_with_all_that_the_reply_says(
    microsoft: RunningFake,
    client: BrokerClient,
    number: int,
    name: str,
    expected: type[BrokerResponseError],
    top_level: bool,
) -> None:
    microsoft.plant(
        "status",
        status=number,
        context="AADSTS50078: expired. See also AADSTS65001, AADSTS50078.",
        tag=595719680,
        error_code=-2147,
        sub_status=6001,
        sub_error="token_expired",
        top_level=top_level,
    )
    error = await silent_failure(client)
    if number in (0, 99):  # a status that says nothing: the code in the text does
        expected, name = InteractionRequiredError, "InteractionRequired"
    assert type(error) is expected
    assert error.status.wire_name == name
    assert (error.error_code, error.sub_status) == (-2147, 6001)
    assert (error.tag, error.tag_name) == (595719680, "965ya")
    assert error.aadsts_codes == ("AADSTS50078", "AADSTS65001")
    assert error.sub_error == ("" if top_level else "token_expired")
    assert error.diagnostics == {}
    assert error.correlation_id == CORRELATION_ID
    assert error.telemetry["correlation_id"] == CORRELATION_ID
    assert (error.method, error.username, error.dbus_error) == ("acquireTokenSilently", UPN, "")
    for shown in (UPN, "AADSTS50078: expired", name, "965ya", "-2147", CORRELATION_ID):
        assert shown in str(error)


async def test_a_failure_that_is_a_dbus_error_says_no_status_but_keeps_its_text(himmelblau: RunningFake) -> None:
    himmelblau.plant("dbus_error", context="AADSTS50105: the user is not assigned to the app.")
    async with BrokerClient(CLIENT_ID, bus_address=himmelblau.address) as client:
        error = await silent_failure(client)
    assert type(error) is BrokerResponseError
    assert error.status is Status.UNEXPECTED
    assert error.dbus_error == "org.freedesktop.DBus.Error.Failed"
    assert (error.error_code, error.sub_status, error.tag) == (0, 0, 0)
    assert (error.tag_name, error.sub_error, error.diagnostics) == ("", "", {})
    assert error.aadsts_codes == ("AADSTS50105",)
    assert error.correlation_id == CORRELATION_ID
    assert CORRELATION_ID in str(error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AADSTS50078: expired.", InteractionRequiredError),
        ("AADSTS65001: no consent.", InteractionRequiredError),
        ("AADSTS50126: wrong password.", InteractionRequiredError),
        ("broker socket connect: No such file or directory (os error 2)", ServerUnavailableError),
        ("AADSTS7000218: no secret.", RedirectUriError),
        ("No network connection.", BrokerResponseError),
    ],
)
async def test_what_the_text_of_a_dbus_error_tells_becomes_the_class(
    himmelblau: RunningFake, text: str, expected: type[BrokerResponseError]
) -> None:
    himmelblau.plant("dbus_error", context=text)
    async with BrokerClient(CLIENT_ID, bus_address=himmelblau.address, timeouts=Timeouts(start_up=0.05)) as client:
        error = await silent_failure(client)
    assert type(error) is expected
    assert error.dbus_error == "org.freedesktop.DBus.Error.Failed"


@pytest.mark.parametrize(("number", "name", "expected"), AND_AN_UNKNOWN_ONE, ids=NUMBERS)
@pytest.mark.parametrize("method", ["getAccounts", "acquirePrtSsoCookie", "removeAccount", "getLinuxBrokerVersion"])
async def test_a_status_means_the_same_for_a_method_that_gives_no_token(
    microsoft: RunningFake,
    client: BrokerClient,
    method: str,
    number: int,
    name: str,
    expected: type[BrokerResponseError],
) -> None:
    microsoft.plant("status", status=number, method=method, context="no")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "getAccounts": client.get_accounts,
        "acquirePrtSsoCookie": lambda: client.acquire_prt_sso_cookie(ADA),
        "removeAccount": lambda: client.remove_account(ADA),
        "getLinuxBrokerVersion": client.get_linux_broker_version,
    }
    with pytest.raises(BrokerResponseError, match=name) as caught:
        await calls[method]()
    assert type(caught.value) is expected
    assert caught.value.method == method


@pytest.mark.parametrize(("number", "advice"), ADVICE)
async def test_a_message_says_what_to_do(
    microsoft: RunningFake, client: BrokerClient, number: int, advice: str
) -> None:
    microsoft.plant("status", status=number, context="no")
    assert advice in str(await silent_failure(client))


async def test_the_java_brokers_diagnostics_are_kept(java_broker: RunningFake) -> None:
    java_broker.plant("mfa_expired")
    async with BrokerClient(CLIENT_ID, bus_address=java_broker.address) as client:
        error = await silent_failure(client)
    assert isinstance(error, InteractionRequiredError)
    assert error.diagnostics == {
        "raw_error_code": "invalid_grant",
        "exception_type": "com.microsoft.identity.common.exception.UiRequiredException",
        "oauth2_sub_error_code": "basic_action",
    }
    assert error.aadsts_codes == ("AADSTS50078",)
    assert error.sub_error == "basic_action"
    assert (error.tag, error.tag_name) == (0, "")
    assert error.telemetry["broker_version"] == "2.0.1"


# The two real error replies of PROTOCOL.md, "Errors", as the brokers sent them.
MICROSOFT_2_0_1 = {
    "brokerTokenResponse": {
        "error": {
            "context": "AADSTS50078: Presented multi-factor authentication has expired…",
            "diagnostics": {
                "raw_error_code": "invalid_grant",
                "exception_type": "com.microsoft.identity.common.exception.UiRequiredException",
                "oauth2_sub_error_code": "basic_action",
            },
            "errorCode": 0,
            "status": 2,
            "subStatus": 0,
            "tag": 0,
        },
        "accessTokenType": 0,
        "expiresOn": 0,
        "extendedExpiresOn": 0,
        "subError": "",
    },
    "telemetry": {"broker_version": "2.0.1", "ui_visible": "false", "os_version": "22.04", "http_event_count": "1"},
}
MICROSOFT_2_5_2 = {
    "brokerTokenResponse": {
        "error": {
            "context": "Recieved an error from AAD. Code: 'invalid_grant' description: '(pii)' correlation id: "
            f"'{CORRELATION_ID}' suberror: 'token_expired'",
            "diagnostics": None,
            "errorCode": 0,
            "status": 2,
            "subStatus": 0,
            "tag": 595719680,
        },
        "accessTokenType": 0,
        "expiresOn": 0,
        "extendedExpiresOn": 0,
        "subError": "",
    },
    "telemetry": {
        "broker_version": "2.5.2",
        "api_status_code": "StatusInternal::InteractionRequired",
        "all_error_tags": "965ya",
        "auth_flow": "PRT",
    },
}


@pytest.mark.parametrize(
    ("reply", "tag_name", "aadsts_codes"),
    [(MICROSOFT_2_0_1, "", ("AADSTS50078",)), (MICROSOFT_2_5_2, "965ya", ())],
    ids=["2.0.1", "2.5.2"],
)
async def test_a_failure_of_a_real_broker_is_read_whole(
    microsoft: RunningFake, client: BrokerClient, reply: dict[str, Any], tag_name: str, aadsts_codes: tuple[str, ...]
) -> None:
    microsoft.plant("raw_reply", reply=json.dumps(reply))
    error = await silent_failure(client)
    told = reply["brokerTokenResponse"]["error"]
    assert isinstance(error, InteractionRequiredError)
    assert error.context == told["context"]
    assert error.diagnostics == (told["diagnostics"] or {})
    assert error.telemetry == reply["telemetry"]
    assert error.tag_name == error.telemetry.get("all_error_tags", "") == tag_name
    assert error.aadsts_codes == aadsts_codes


# What the user mends by signing in anew, with a second factor, a new password or consent: Entra's list of its codes.
CODES_FOR_THE_USER = [
    *("16000", "50055", "50058", "50072", "50074", "50076", "50078", "50079", "50126", "50132", "50133", "50144"),
    *("50158", "50173", "65001", "70008", "70043", "70044", "700082", "700084"),
]
CODES_FOR_SOMEBODY_ELSE = ["50020", "50034", "50053", "50057", "50105", "53003", "70011", "90002", "700016", "700043"]


@pytest.mark.parametrize("code", CODES_FOR_THE_USER)
def test_a_code_that_a_sign_in_mends_asks_for_one(code: str) -> None:
    for text in (f"AADSTS{code}: no.", f"(pii) AADSTS{code}", f"Trace: AADSTS50105, then AADSTS{code}: no."):
        assert cause_of_text(text).status is Status.INTERACTION_REQUIRED
    for longer in (f"AADSTS{code}99: no.", f"AADSTS9{code}: no.", code):
        assert cause_of_text(longer).status is Status.UNEXPECTED


@pytest.mark.parametrize("code", CODES_FOR_SOMEBODY_ELSE)
def test_a_code_that_no_sign_in_mends_asks_for_none(code: str) -> None:
    assert cause_of_text(f"AADSTS{code}: no.").status is Status.UNEXPECTED


@pytest.mark.parametrize("code", ["AADSTS50011", "AADSTS7000218"])
@pytest.mark.parametrize("number", [0, 2, 9])
async def test_a_redirect_uri_mistake_names_the_uri_to_register(
    microsoft: RunningFake, client: BrokerClient, code: str, number: int
) -> None:
    microsoft.plant("status", status=number, context=f"{code}: no.")
    error = await silent_failure(client)
    assert isinstance(error, RedirectUriError)
    assert isinstance(error, ConfigurationError)
    assert NATIVE_CLIENT in str(error)
    assert error.aadsts_codes == (code,)
    assert error.status is Status(number)


async def test_a_redirect_uri_mistake_is_told_from_a_dbus_error_too(himmelblau: RunningFake) -> None:
    himmelblau.plant("dbus_error", context="AADSTS50011: no such redirect URI.")
    async with BrokerClient(CLIENT_ID, bus_address=himmelblau.address) as client:
        error = await silent_failure(client)
    assert isinstance(error, RedirectUriError)
    assert NATIVE_CLIENT in str(error)


async def test_an_aadsts_code_that_only_begins_like_it_is_no_redirect_uri_mistake(
    microsoft: RunningFake, client: BrokerClient
) -> None:
    microsoft.plant("status", status=9, context="AADSTS500112: another mistake.")
    assert type(await silent_failure(client)) is ConfigurationError


async def test_a_method_that_himmelblau_lacks_is_unsupported(himmelblau: RunningFake) -> None:
    scheme = linuxbroker.PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me")
    async with BrokerClient(CLIENT_ID, bus_address=himmelblau.address) as client:
        with pytest.raises(UnsupportedOperationError, match="linuxbroker version"):
            await client.remove_account(ADA)
        with pytest.raises(UnsupportedOperationError, match="linuxbroker version"):
            await client.generate_signed_http_request(ADA, scheme)


INDENT = 4


def tree_of(drawing: str) -> dict[str, str]:
    """Read a drawn tree into pairs of class and parent."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in drawing.splitlines():
        drawn = re.match(r"    ([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if drawn:
            depth = len(drawn[1]) // INDENT
            del above[depth:]
            parents[drawn[2]] = above[-1] if above else ""
            above.append(drawn[2])
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, BrokerError)]
    real = {
        kind.__name__: next((base.__name__ for base in kind.__bases__ if issubclass(base, BrokerError)), "")
        for kind in classes
    }
    assert tree_of(errors.__doc__ or "") == real


def test_every_class_of_the_tree_is_public() -> None:
    assert set(tree_of(errors.__doc__ or "")) <= set(linuxbroker.__all__)


async def test_without_a_broker_the_message_says_how_to_install_one() -> None:
    with RunningFake(start=False) as bus:
        async with BrokerClient(CLIENT_ID, bus_address=bus.address) as client:
            with pytest.raises(BrokerNotInstalledError) as caught:
                await client.get_accounts()
    for hint in (
        "sudo apt install microsoft-identity-broker",
        "sudo dnf install microsoft-identity-broker",
        "Himmelblau",
        "Company Portal",
        "getAccounts",
    ):
        assert hint in str(caught.value)


@pytest.fixture
def bus_with_a_broken_broker() -> Iterator[RunningFake]:
    """A bus that can start a broker, which ends at once."""
    with RunningFake(start=False) as bus:
        activation = "[D-BUS Service]\nName=com.microsoft.identity.broker1\nExec=/bin/false\n"
        Path(bus.services, "com.microsoft.identity.broker1.service").write_text(activation, encoding="utf-8")
        bus.reload_services()
        yield bus


async def test_a_broker_that_ends_at_its_start_did_not_start(bus_with_a_broken_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, bus_address=bus_with_a_broken_broker.address) as client:
        with pytest.raises(BrokerStartError, match="journalctl"):
            await client.get_accounts()


async def test_without_a_session_bus_the_message_says_what_sets_one_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(NoSessionBusError) as caught:
            await client.get_accounts()
    for hint in ("dbus-run-session", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        assert hint in str(caught.value)


@pytest.mark.parametrize(
    "address", ["unix:path=/nonexistent/bus", "tcp:host=localhost,port=1", "nonsense", ";", "unix:path=%00"]
)
async def test_a_bus_address_that_leads_nowhere_is_no_session_bus(address: str) -> None:
    async with BrokerClient(CLIENT_ID, bus_address=address) as client:
        with pytest.raises(NoSessionBusError, match="dbus-run-session"):
            await client.get_accounts()


def test_a_timeout_is_also_pythons() -> None:
    assert issubclass(linuxbroker.BrokerTimeoutError, TimeoutError)


async def test_a_timeout_names_the_call(microsoft: RunningFake) -> None:
    microsoft.plant("hang")
    timeouts = Timeouts(call=0.05)
    async with BrokerClient(CLIENT_ID, bus_address=microsoft.address, timeouts=timeouts) as client:
        with pytest.raises(linuxbroker.BrokerTimeoutError, match="getAccounts") as caught:
            await client.get_accounts(correlation_id=CORRELATION_ID)
    assert CORRELATION_ID in str(caught.value)


def every_public_error() -> list[BrokerError]:
    """One of each public class, the answered ones with everything filled in."""
    made: list[BrokerError] = []
    for name in tree_of(errors.__doc__ or ""):
        kind: type[BrokerError] = getattr(linuxbroker, name)
        if not issubclass(kind, BrokerResponseError):
            made.append(kind("what happened"))
            continue
        scopes = {"declined_scopes": ["a"], "granted_scopes": ["b"]} if kind is DeclinedScopesError else {}
        made.append(
            kind(
                method="acquireTokenSilently",
                status=Status.ACCOUNT_UNUSABLE,
                context="AADSTS50078: expired",
                sub_status=1,
                error_code=2,
                tag=595719680,
                sub_error="basic_action",
                diagnostics={"raw_error_code": "invalid_grant"},
                telemetry={"broker_version": "2.5.2"},
                correlation_id=CORRELATION_ID,
                username=UPN,
                dbus_error="org.freedesktop.DBus.Error.Failed",
                **scopes,  # type: ignore[arg-type]
            )
        )
    return made


@pytest.mark.parametrize("error", every_public_error(), ids=lambda error: type(error).__name__)
def test_an_error_comes_out_of_a_worker_process_as_it_was(error: BrokerError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), repr(copy), vars(copy)) == (str(error), repr(error), vars(error))


async def test_an_error_shows_no_password_and_no_token_in_its_repr(
    microsoft: RunningFake, client: BrokerClient
) -> None:
    token = "eyJhbGciOiJub25lIn0.eyJvaWQiOiIxIn0."
    microsoft.plant("status", status=2, context=f"'hunter2' and {token} are wrong")
    with pytest.raises(InteractionRequiredError) as caught:
        await client.acquire_token_by_username_password(UPN, "hunter2", SCOPES)
    for text in (str(caught.value), repr(caught.value), repr(vars(caught.value))):
        assert "hunter2" not in text
        assert "eyJ" not in text
    assert caught.value.context == "'(hidden)' and (hidden) are wrong"
