"""Tokens for an application: MSAL's order of steps and MSAL's dicts, from the fake broker."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import msal
import pytest

from linuxbroker import Account, BrokerClient, PopAuthScheme, PublicClientApplication, RedirectUriError, Status
from linuxbroker.challenges import claims_in, parse_challenges
from linuxbroker_fake import FakeConfig, RevokedTokenError, RunningFake
from tests.constants import CLIENT_ID

SCOPE = "https://storage.azure.com/.default"
ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
SILENT, INTERACTIVE = "acquireTokenSilently", "acquireTokenInteractively"
CONSOLE = PublicClientApplication.CONSOLE_WINDOW_HANDLE
NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"


@pytest.fixture
def fake_broker_config() -> FakeConfig:
    return FakeConfig(signed_in=(ADA,))


@pytest.fixture
async def application(fake_broker: RunningFake) -> AsyncIterator[PublicClientApplication]:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        yield application


def _parameters(fake: RunningFake, method: str) -> dict[str, Any]:
    """What the broker was last asked with."""
    parameters: dict[str, Any] = fake.calls_of(method)[-1].request["authParameters"]
    return parameters


async def test_a_token_is_what_msal_returns(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    result = await application.acquire_token_interactive([SCOPE], parent_window_handle=CONSOLE)
    claims = fake_broker.broker.verify_access_token(result.pop("access_token"))
    assert claims["upn"] == ADA
    telemetry = json.loads(result.pop("msal_telemetry"))
    assert telemetry["msalruntime_telemetry"]["correlation_id"]
    assert result.pop("id_token_claims")["preferred_username"] == ADA
    assert result.pop("id_token") and result.pop("client_info")
    assert 3500 < result.pop("expires_in") <= 3600
    assert SCOPE in result.pop("scope")
    assert result == {"token_type": "bearer", "token_source": "broker"}


async def test_interactive_asks_silently_first(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    launched: list[str] = []
    await application.acquire_token_interactive(
        [SCOPE], parent_window_handle=CONSOLE, on_before_launching_ui=lambda ui, **_: launched.append(ui)
    )
    assert (launched, fake_broker.calls_of(INTERACTIVE)) == ([], [])


@pytest.mark.parametrize("status", list(Status), ids=lambda status: status.wire_name)
async def test_the_user_is_asked_only_where_that_can_help(
    application: PublicClientApplication, fake_broker: RunningFake, status: Status
) -> None:
    fake_broker.plant("status", method=SILENT, status=int(status), context="It failed.", error_code=3, tag=595719680)
    launched: list[str] = []
    result = await application.acquire_token_interactive(
        [SCOPE], parent_window_handle=CONSOLE, on_before_launching_ui=lambda ui, **_: launched.append(ui)
    )
    if status in (Status.ACCOUNT_UNUSABLE, Status.INTERACTION_REQUIRED):
        assert (launched, "access_token" in result) == (["broker"], True)
    else:
        assert launched == []
        assert (result["error"], result["_broker_status"], result["_broker_error_code"], result["_broker_tag"]) == (
            "broker_error",
            status,
            3,
            595719680,
        )
        assert result["error_description"] == (
            f"It failed.. Status: Response_Status.Status_{status.wire_name}, Error code: 3, Tag: 595719680"
        )


async def test_a_prompt_asks_the_user_at_once(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    for prompt in ("login", "consent", "select_account"):
        fake_broker.clear_calls()
        await application.acquire_token_interactive(
            [SCOPE], prompt=prompt, login_hint=ADA, parent_window_handle=CONSOLE
        )
        assert fake_broker.calls_of(SILENT) == []
        assert _parameters(fake_broker, INTERACTIVE)["prompt"] == prompt


async def test_select_account_drops_the_hint(
    application: PublicClientApplication, fake_broker: RunningFake, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "linuxbroker"):
        await application.acquire_token_interactive(
            [SCOPE], prompt="select_account", login_hint=GRACE, parent_window_handle=CONSOLE
        )
    assert not _parameters(fake_broker, INTERACTIVE).get("username")
    assert GRACE not in json.dumps(fake_broker.calls_of(INTERACTIVE)[-1].request)
    (warning,) = caplog.records
    assert "ignoring login_hint" in warning.message and GRACE not in warning.message


async def test_none_never_asks(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    fake_broker.plant("mfa_expired", method=SILENT)
    failed = await application.acquire_token_interactive([SCOPE], prompt="none", parent_window_handle=CONSOLE)
    assert failed["_broker_status"] == Status.INTERACTION_REQUIRED
    fake_broker.clear_faults()
    other = await application.acquire_token_interactive(
        [SCOPE], prompt="none", login_hint=GRACE, parent_window_handle=CONSOLE
    )
    assert other["error"] == "broker_error" and "login_hint" in other["error_description"]
    assert fake_broker.calls_of(INTERACTIVE) == []


async def test_a_hint_of_someone_else_asks_for_them(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    result = await application.acquire_token_interactive([SCOPE], login_hint=GRACE, parent_window_handle=CONSOLE)
    assert result["id_token_claims"]["preferred_username"] == GRACE
    assert _parameters(fake_broker, INTERACTIVE)["username"] == GRACE


async def test_a_window_handle_is_required(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    with pytest.raises(ValueError, match="parent_window_handle is required"):
        await application.acquire_token_interactive([SCOPE])
    assert fake_broker.calls_of(SILENT) == fake_broker.calls_of(INTERACTIVE) == []


@pytest.mark.parametrize("handle", [True, -1, "0x1", 1.5, object()], ids=["True", "-1", "0x1", "1.5", "object"])
async def test_a_window_handle_that_is_none_is_refused(
    application: PublicClientApplication, fake_broker: RunningFake, handle: object
) -> None:
    with pytest.raises(ValueError, match="parent_window_handle"):
        await application.acquire_token_interactive([SCOPE], prompt="login", parent_window_handle=handle)
    assert fake_broker.calls_of(INTERACTIVE) == []


async def test_the_window_is_passed_on(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    await application.acquire_token_interactive([SCOPE], prompt="login", parent_window_handle=4711)
    request = fake_broker.calls_of(INTERACTIVE)[-1].request
    assert "4711" in json.dumps(request)


@pytest.mark.parametrize(
    "arguments",
    [
        {"timeout": "5"},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"scopes": ["openid"]},
        {"scopes": SCOPE},
        {"data": {"scope": SCOPE}},
        {"data": [("lc", "1031")]},
        {"parent_window_handle": "0x1"},
        {"claims_challenge": "nope"},
    ],
    ids=str,
)
async def test_nobody_is_told_of_a_window_that_can_not_open(
    arguments: dict[str, Any], application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    told: list[str] = []
    given: dict[str, Any] = {"scopes": [SCOPE], "prompt": "login", "parent_window_handle": CONSOLE, **arguments}
    with pytest.raises(ValueError, match=next(iter(arguments)) if "data" not in arguments else "parameters"):
        await application.acquire_token_interactive(**given, on_before_launching_ui=lambda ui, **_: told.append(ui))
    assert told == []
    assert fake_broker.calls_of(SILENT) == fake_broker.calls_of(INTERACTIVE) == []


@pytest.mark.parametrize("prompt", [None, "login"])
async def test_an_empty_hint_is_none(
    prompt: str | None, application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    result = await application.acquire_token_interactive(
        [SCOPE], prompt=prompt, login_hint="", parent_window_handle=CONSOLE
    )
    assert "access_token" in result
    assert len(fake_broker.calls_of(INTERACTIVE)) == (1 if prompt else 0)


@pytest.mark.parametrize("account", ["ada@contoso.example", Account(home_account_id="a.b"), 1], ids=str)
async def test_an_account_that_is_no_dict_is_refused(application: PublicClientApplication, account: Any) -> None:
    with pytest.raises(ValueError, match="account must be a dict"):
        await application.acquire_token_silent([SCOPE], account)
    with pytest.raises(ValueError, match="account must be a dict"):
        await application.remove_account(account)


@pytest.mark.parametrize("options", [{"validate_authority": False}, {"instance_discovery": False}], ids=str)
async def test_an_authority_that_is_not_to_be_checked(options: dict[str, Any], fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, **options) as application:
        await application.acquire_token_interactive([SCOPE], parent_window_handle=CONSOLE)
        with pytest.warns(DeprecationWarning, match="password"):
            await application.acquire_token_by_username_password(ADA, "not-a-real-password-ada", [SCOPE])
    assert len(fake_broker.calls_of(SILENT)) == 2
    for call in fake_broker.calls_of(SILENT):
        query = call.request["authParameters"]["additionalQueryParametersForAuthorization"]
        assert query["validateAuthority"] == "no"


@pytest.mark.parametrize("reserved", ["openid", "profile", "offline_access"])
async def test_reserved_scopes_are_refused(
    application: PublicClientApplication, fake_broker: RunningFake, reserved: str
) -> None:
    account = (await application.get_accounts())[0]
    fake_broker.clear_calls()
    with pytest.raises(ValueError, match=reserved):
        await application.acquire_token_interactive([SCOPE, reserved], parent_window_handle=CONSOLE)
    with pytest.raises(ValueError, match=reserved):
        await application.acquire_token_silent([SCOPE, reserved], account)
    assert fake_broker.calls_of(SILENT) == []


@pytest.mark.parametrize(
    "authority",
    [
        "https://login.microsoftonline.com/organizations",
        "https://login.microsoftonline.us/common",
        "https://login.partner.microsoftonline.cn/common",
        "https://login.sovcloud-identity.fr/organizations",
        "https://login.sovcloud-identity.de/organizations",
        "https://login.sovcloud-identity.sg/organizations",
        "https://login.windows.net/organizations",
    ],
)
async def test_redirect_uri_is_one_and_the_cloud_is_the_authoritys(authority: str, fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, authority=authority, enable_broker_on_linux=True) as application:
        await application.acquire_token_interactive([SCOPE], prompt="login", parent_window_handle=CONSOLE)
        (account, *_) = await application.get_accounts()
        result = await application.acquire_token_silent([SCOPE], account)
    host = authority.split("/")[2]
    assert account["environment"] == host
    assert result is not None and result["access_token"]
    for method in (INTERACTIVE, SILENT):
        assert _parameters(fake_broker, method)["redirectUri"] == NATIVE_CLIENT
        assert _parameters(fake_broker, method)["authority"].split("/")[2] == host


@pytest.mark.parametrize("code", ["AADSTS50011", "AADSTS7000218"])
async def test_a_redirect_uri_that_is_not_registered_says_what_to_register(
    application: PublicClientApplication, fake_broker: RunningFake, code: str
) -> None:
    account = (await application.get_accounts())[0]
    for method in (SILENT, INTERACTIVE):
        fake_broker.plant("status", status=9, context=f"{code}: no.", method=method, times=2)
    with pytest.raises(ValueError, match=r"Register the redirect URI") as interactive:
        await application.acquire_token_interactive([SCOPE], parent_window_handle=CONSOLE)
    with pytest.raises(RedirectUriError, match=NATIVE_CLIENT):
        await application.acquire_token_silent_with_error([SCOPE], account)
    assert isinstance(interactive.value, RedirectUriError) and NATIVE_CLIENT in str(interactive.value)


async def test_claims_and_capabilities_reach_the_broker(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(
        CLIENT_ID, enable_broker_on_linux=True, client_capabilities=["CP1"]
    ) as application:
        account = (await application.get_accounts())[0]
        await application.acquire_token_silent(
            [SCOPE], account, claims_challenge=CLAIMS, forwarded_client_claims='{"id_token":{"auth_time":null}}'
        )
    assert json.loads(_parameters(fake_broker, SILENT)["decodedClaims"]) == {
        "access_token": {"nbf": {"essential": True, "value": "1700000000"}, "xms_cc": {"values": ["CP1"]}},
        "id_token": {"auth_time": None},
    }


async def test_a_challenge_that_only_clients_with_cp1_get_is_answered(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(
        CLIENT_ID, enable_broker_on_linux=True, client_capabilities=["CP1"]
    ) as application:
        token = await application.acquire_token_interactive([SCOPE], parent_window_handle=CONSOLE)
        account = (await application.get_accounts())[0]
        fake_broker.revoke(ADA)
        with pytest.raises(RevokedTokenError) as revoked:
            fake_broker.broker.verify_access_token(token["access_token"])
        claims = claims_in(parse_challenges([revoked.value.www_authenticate]))
        assert claims is not None
        renewed = await application.acquire_token_silent([SCOPE], account, claims_challenge=claims)
    assert renewed is not None
    assert fake_broker.broker.verify_access_token(renewed["access_token"])["xms_cc"] == ["CP1"]


async def test_an_application_without_cp1_is_refused_without_a_challenge(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    token = await application.acquire_token_interactive([SCOPE], parent_window_handle=CONSOLE)
    fake_broker.revoke(ADA)
    with pytest.raises(RevokedTokenError) as revoked:
        fake_broker.broker.verify_access_token(token["access_token"])
    assert claims_in(parse_challenges([revoked.value.www_authenticate])) is None


async def test_every_way_to_a_token_declares_the_capabilities_once(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(
        CLIENT_ID, enable_broker_on_linux=True, client_capabilities=("CP1",)
    ) as application:
        account = (await application.get_accounts())[0]
        await application.acquire_token_silent([SCOPE], account)
        await application.acquire_token_interactive([SCOPE], prompt="login", parent_window_handle=CONSOLE)
        with pytest.warns(DeprecationWarning, match="password"):
            await application.acquire_token_by_username_password(ADA, "not-a-real-password-ada", [SCOPE])
    calls = [*fake_broker.calls_of(SILENT), *fake_broker.calls_of(INTERACTIVE)]
    asked = [call.request["authParameters"]["decodedClaims"] for call in calls]
    assert asked == ['{"access_token": {"xms_cc": {"values": ["CP1"]}}}'] * 3


async def test_claims_that_are_no_claims_are_refused_before_anything_is_sent(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    account = (await application.get_accounts())[0]
    fake_broker.clear_calls()
    with pytest.raises(ValueError, match="JSON object"):
        await application.acquire_token_silent([SCOPE], account, claims_challenge="e30=")
    with pytest.raises(ValueError, match="JSON object"):
        await application.acquire_token_interactive([SCOPE], claims_challenge="e30=", parent_window_handle=CONSOLE)
    assert not fake_broker.calls


async def test_max_age_and_extra_parameters_reach_the_broker(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    await application.acquire_token_interactive(
        [SCOPE], prompt="login", max_age=60, data={"lc": "1031"}, parent_window_handle=CONSOLE
    )
    sent = json.dumps(_parameters(fake_broker, INTERACTIVE))
    assert all(text in sent for text in ("max_age", "60", "lc", "1031"))


async def test_silent_needs_an_account(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    assert await application.acquire_token_silent([SCOPE], None) is None
    assert await application.acquire_token_silent_with_error([SCOPE], None) is None
    assert fake_broker.calls_of(SILENT) == []


async def test_a_silent_failure_is_none_or_told(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    account = (await application.get_accounts())[0]
    fake_broker.plant("consent_missing", method=SILENT, times=2)
    assert await application.acquire_token_silent([SCOPE], account) is None
    told = await application.acquire_token_silent_with_error([SCOPE], account)
    assert told is not None and told["_broker_status"] == Status.INTERACTION_REQUIRED


async def test_authority_of_one_request(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    account = (await application.get_accounts())[0]
    await application.acquire_token_silent([SCOPE], account, authority="https://login.microsoftonline.us/organizations")
    assert _parameters(fake_broker, SILENT)["authority"].startswith("https://login.microsoftonline.us/")


async def test_an_account_of_a_sovereign_cloud_is_refused_at_the_commercial_one() -> None:
    directory = FakeConfig().directory.model_copy(update={"environment": "login.microsoftonline.us"})
    with RunningFake(FakeConfig(directory=directory)) as fake:
        async with PublicClientApplication(
            CLIENT_ID, enable_broker_on_linux=True, bus_address=fake.address
        ) as application:
            account = (await application.get_accounts())[0]
            with pytest.raises(ValueError, match=r"https://login\.microsoftonline\.us/common"):
                await application.acquire_token_silent([SCOPE], account)
        assert not fake.calls_of(SILENT)


@pytest.mark.parametrize(("tenant", "hinted"), [("organizations", True), (CONTOSO, True), ("common", False)])
async def test_a_login_hint_means_the_work_account_where_the_authority_does(
    fake_broker: RunningFake, tenant: str, hinted: bool
) -> None:
    personal_tenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
    async with BrokerClient(CLIENT_ID) as client:
        work = await client.get_account(ADA)
    assert work is not None
    home = {"home_account_id": f"00000000-0000-0000-0000-0000000000ff.{personal_tenant}", "realm": personal_tenant}
    listed = [json.loads(account.to_json()) for account in (work.model_copy(update=home), work)]
    fake_broker.plant("raw_reply", method="getAccounts", reply=json.dumps({"accounts": listed}))
    async with PublicClientApplication(
        CLIENT_ID, authority=f"https://login.microsoftonline.com/{tenant}", enable_broker_on_linux=True
    ) as application:
        result = await application.acquire_token_interactive([SCOPE], login_hint=ADA, parent_window_handle=CONSOLE)
    assert fake_broker.broker.verify_access_token(result["access_token"])["upn"] == ADA
    asked = _parameters(fake_broker, SILENT)["account"]
    assert (asked or {}).get("homeAccountId") == (work.home_account_id if hinted else None)


async def test_username_and_password(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    with pytest.warns(DeprecationWarning, match="ropc"):
        result = await application.acquire_token_by_username_password(ADA, "not-a-real-password-ada", [SCOPE])
    assert fake_broker.broker.verify_access_token(result["access_token"])["upn"] == ADA
    with pytest.warns(DeprecationWarning, match="ropc"):
        failed = await application.acquire_token_by_username_password(ADA, "a-wrong-password", [SCOPE])
    assert failed["error"] == "broker_error" and "a-wrong-password" not in str(failed)


@pytest.mark.parametrize("kind", [msal.PopAuthScheme, PopAuthScheme])
async def test_proof_of_possession(
    application: PublicClientApplication, fake_broker: RunningFake, kind: type[Any]
) -> None:
    assert await application.is_pop_supported() is True
    scheme = kind(http_method="GET", url="https://api.contoso.example/orders", nonce="a-nonce")
    for result in (
        await application.acquire_token_interactive([SCOPE], auth_scheme=scheme, parent_window_handle=CONSOLE),
        await application.acquire_token_silent([SCOPE], (await application.get_accounts())[0], auth_scheme=scheme),
    ):
        assert result is not None and result["token_type"] == "pop"
        signed = fake_broker.broker.entra.verify_signed_http_request(result["access_token"])
        assert (signed["m"], signed["u"], signed["p"], signed["nonce"]) == (
            "GET",
            "api.contoso.example",
            "/orders",
            "a-nonce",
        )


async def test_an_auth_scheme_that_is_none_is_refused(application: PublicClientApplication) -> None:
    with pytest.raises(ValueError, match="PopAuthScheme"):
        await application.acquire_token_interactive([SCOPE], auth_scheme="pop", parent_window_handle=CONSOLE)


async def test_callback_comes_on_the_loops_thread_before_the_window(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    threads: list[tuple[threading.Thread, int]] = []

    def launching(ui: str, **_: object) -> None:
        threads.append((threading.current_thread(), len(fake_broker.calls_of(INTERACTIVE))))

    await application.acquire_token_interactive(
        [SCOPE], prompt="login", parent_window_handle=CONSOLE, on_before_launching_ui=launching
    )
    assert threads == [(threading.current_thread(), 0)]


async def test_cancelling_the_task_closes_the_window(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    fake_broker.set_user(action="never")
    task = asyncio.ensure_future(
        application.acquire_token_interactive([SCOPE], prompt="login", parent_window_handle=CONSOLE)
    )
    await fake_broker.called(INTERACTIVE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await fake_broker.called("cancelInteractiveFlow")


async def test_a_user_who_takes_too_long(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    fake_broker.set_user(action="never")
    result = await application.acquire_token_interactive(
        [SCOPE], prompt="login", timeout=0.05, parent_window_handle=CONSOLE
    )
    assert result["error"] == "broker_error" and "sign-in not completed within 0.05 s" in result["error_description"]
    await fake_broker.called("cancelInteractiveFlow")
