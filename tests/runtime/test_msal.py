"""MSAL Python, unmodified, on the replacement runtime, and its rules for going on without the broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linuxbroker_fake import RevokedTokenError, RunningFake
from tests.runtime.conftest import Run

ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
# `app` is made as applications make it, but for the HTTP client: MSAL reads a login host's endpoints over the network.
MSAL = f"""
import json, logging, subprocess, sys
from linuxbroker.runtime import install
assert install(force=True)
sys.path.insert(0, {str(Path(__file__).parents[1] / "compat")!r})
import msal, msal_driver
GRAPH, STORAGE = msal_driver.GRAPH, msal_driver.STORAGE

def make_app(authority="https://login.microsoftonline.com/organizations", **options):
    return msal.PublicClientApplication(
        msal_driver.CLIENT_ID, authority=authority, enable_broker_on_linux=True, http_client=msal_driver.LoginHost(),
        **options
    )

def ask(app, scopes=GRAPH, **options):
    return app.acquire_token_interactive(scopes, parent_window_handle=app.CONSOLE_WINDOW_HANDLE, **options)

def plant(**fault):
    subprocess.run(
        ["dbus-send", "--session", "--print-reply", "--dest=com.microsoft.identity.broker1", "/org/linuxbroker/Fake",
         "org.linuxbroker.Fake1.Plant", "string:" + json.dumps(fault)], check=True, stdout=subprocess.DEVNULL)

def shown(result):
    return json.dumps(result, default=str)
"""
# What MSAL does in place of the broker's window is to open a browser: it says so before it does.
BROWSER = """
class Launching(Exception):
    pass

def launching(ui, **_):
    raise Launching(ui)

def without_broker(app):
    try:
        return app.acquire_token_interactive(GRAPH, on_before_launching_ui=launching)
    except Launching as stopped:
        return str(stopped)
"""


@pytest.fixture
def msal_run(run: Run) -> Run:
    def run_program(source: str, **options: object) -> object:
        return run(MSAL + source, prelude=False, **options)

    return run_program  # type: ignore[return-value] # a Run with the prelude chosen


@pytest.mark.fake_broker(signed_in=(ADA,))
def test_sign_in_silent_token_and_removal(msal_run: Run, fake_broker: RunningFake) -> None:
    seen = msal_run(
        "app = make_app()\n"
        "signed_in = ask(app)\n"
        "(account,) = app.get_accounts()\n"
        "silent = app.acquire_token_silent_with_error(STORAGE, account=account)\n"
        "again = app.acquire_token_silent_with_error(GRAPH, account=account, force_refresh=True)\n"
        "app.remove_account(account)\n"
        "print(shown([signed_in, account, silent, again, app.get_accounts(),\n"
        "    app.acquire_token_silent_with_error(GRAPH, account=account)]))"
    ).json
    signed_in, account, silent, again, left, after = seen
    assert (signed_in["token_source"], silent["token_source"], again["token_source"]) == ("broker",) * 3
    assert fake_broker.broker.verify_access_token(signed_in["access_token"])["upn"] == ADA
    assert (
        fake_broker.broker.verify_access_token(silent["access_token"])["aud"].rstrip("/") == "https://storage.azure.com"
    )
    assert fake_broker.broker.verify_access_token(again["access_token"])["upn"] == ADA
    assert account["username"] == ADA
    assert (account["account_source"], account["authority_type"]) == ("broker", "MSSTS")
    assert left == []
    assert after["error"] == "broker_error"
    assert "Status_AccountUnusable" in after["error_description"]
    assert fake_broker.calls_of("acquireTokenInteractively") == []


def test_the_user_is_asked_where_the_silent_attempt_says_so(msal_run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    fake_broker.set_user("approve", upn=GRACE)
    seen = msal_run("app = make_app()\nprint(shown([ask(app), app.get_accounts()]))").json
    assert fake_broker.broker.verify_access_token(seen[0]["access_token"])["upn"] == GRACE
    assert [account["username"] for account in seen[1]] == [GRACE]
    assert len(fake_broker.calls_of("acquireTokenInteractively")) == 1


def test_a_login_hint_finds_the_account_that_signed_in_before(msal_run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", upn=GRACE)
    seen = msal_run(
        f"app = make_app()\nfirst = ask(app, prompt='select_account')\n"
        f"second = ask(app, STORAGE, login_hint='{GRACE}')\nprint(shown([first, second]))"
    ).json
    owners = [fake_broker.broker.verify_access_token(token["access_token"])["oid"] for token in seen]
    assert owners == ["00000000-0000-0000-0000-0000000000b1"] * 2
    assert len(fake_broker.calls_of("acquireTokenInteractively")) == 1


@pytest.mark.fake_broker(signed_in=())
def test_prompt_none_never_asks(msal_run: Run, fake_broker: RunningFake) -> None:
    seen = msal_run("print(shown(ask(make_app(), prompt='none')))").json
    assert seen["error"] == "broker_error"
    assert "Status: Response_Status.Status_InteractionRequired" in seen["error_description"]
    assert fake_broker.calls_of("acquireTokenInteractively") == []


def test_the_user_may_decline(msal_run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    seen = msal_run("print(shown(ask(make_app(), prompt='select_account')))").json
    assert "Status: Response_Status.Status_UserCanceled" in seen["error_description"]


def test_a_claims_challenge_reaches_the_broker(msal_run: Run, fake_broker: RunningFake) -> None:
    with_cp1 = "app = make_app(client_capabilities=['CP1'])\n"
    revoked = msal_run(with_cp1 + "print(shown(ask(app)))").json["access_token"]
    fake_broker.revoke(ADA)
    with pytest.raises(RevokedTokenError) as refused:
        fake_broker.broker.verify_access_token(revoked)
    challenge = refused.value.challenge
    assert challenge is not None
    seen = msal_run(
        f"{with_cp1}ask(app)\n"
        f"token = app.acquire_token_silent_with_error(GRAPH, app.get_accounts()[0], claims_challenge='{challenge}')\n"
        "print(shown(token))"
    ).json
    assert fake_broker.broker.verify_access_token(seen["access_token"])["upn"] == ADA
    claims = json.loads(fake_broker.calls_of("acquireTokenSilently")[-1].request["authParameters"]["decodedClaims"])
    assert claims["access_token"].pop("xms_cc") == {"values": ["CP1"]}
    assert claims == json.loads(challenge)


# The rules by which MSAL does without a broker, by their numbers in the documentation of PublicClientApplication.


@pytest.mark.parametrize(
    "authority",
    ["https://adfs.contoso.example/adfs", "https://contoso.b2clogin.com/contoso.onmicrosoft.example/B2C_1_signin"],
)
def test_rule_1_an_authority_that_the_broker_does_not_serve(
    msal_run: Run, fake_broker: RunningFake, authority: str
) -> None:
    seen = msal_run(BROWSER + f"print(shown(without_broker(make_app({authority!r}))))")
    assert seen.json == "browser"
    assert fake_broker.calls == ()


def test_rule_1_proof_of_possession_which_msal_refuses_on_linux(msal_run: Run, fake_broker: RunningFake) -> None:
    seen = msal_run(
        "app = make_app()\n"
        "scheme = msal.PopAuthScheme(http_method='GET', url='https://graph.microsoft.com/v1.0/me', nonce='n')\n"
        "try:\n    ask(app, auth_scheme=scheme)\nexcept ValueError as error:\n"
        "    print(shown([str(error), app.is_pop_supported()]))"
    )
    assert seen.json == ["POP is not supported on Linux", False]
    assert [call.member for call in fake_broker.calls] == ["Ping"]


def test_rule_1_a_token_in_msals_cache(msal_run: Run, fake_broker: RunningFake) -> None:
    seen = msal_run(
        "app = make_app()\nask(app)\n"
        "print(shown(app.acquire_token_silent_with_error(GRAPH, account=app.get_accounts()[0])))"
    ).json
    assert seen["token_source"] == "cache"
    assert len(fake_broker.calls_of("acquireTokenSilently")) == 1


def test_rule_2_without_pymsalruntime_msal_says_what_to_install(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        MSAL.replace("assert install(force=True)", "sys.modules['pymsalruntime'] = None")
        + "try:\n    make_app()\nexcept ImportError as error:\n    print(shown(str(error)))",
        prelude=False,
    )
    assert "msal[broker]" in seen.json


@pytest.mark.parametrize("there", ["a bus", "no bus"])
def test_rule_3_without_a_broker_msal_goes_on_in_the_browser(msal_run: Run, tmp_path: Path, there: str) -> None:
    with RunningFake(start=False) as bus:
        address = bus.address if there == "a bus" else f"unix:path={tmp_path}/none"
        seen = msal_run(
            BROWSER + "heard = []\n"
            "class Heard(logging.Handler):\n"
            "    def emit(self, record):\n"
            "        heard.append(record.getMessage())\n"
            "logging.getLogger('msal').addHandler(Heard(logging.WARNING))\n"
            "app = make_app()\n"
            "print(shown([without_broker(app), heard, app.get_accounts()]))",
            environment={"DBUS_SESSION_BUS_ADDRESS": address},
        ).json
    assert seen == ["browser", ["Broker is unavailable on this platform. We will fallback to non-broker."], []]


def test_rule_3_an_app_that_is_made_once_the_broker_is_there_has_it(msal_run: Run, fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    service = Path(fake_broker.services) / "com.microsoft.identity.broker1.service"
    seen = msal_run(
        BROWSER + "without = without_broker(make_app())\n"
        "from linuxbroker_fake.cli import main\n"
        f"main(['write-service', {str(service.parent)!r}])\n"
        "subprocess.run(['dbus-send', '--session', '--print-reply', '--dest=org.freedesktop.DBus', '/',\n"
        "    'org.freedesktop.DBus.ReloadConfig'], check=True, stdout=subprocess.DEVNULL)\n"
        "token = ask(make_app())\n"
        "sys.stdout.write(shown([without, token.get('token_source')]))"
    )
    assert seen.out.endswith('["browser", "broker"]')


def test_rule_4_a_failure_of_the_brokers_is_the_outcome(msal_run: Run, fake_broker: RunningFake) -> None:
    seen = msal_run(
        "app = make_app()\nask(app)\n"
        "plant(kind='status', method='acquireTokenSilently', status=2, context='planted', tag=3)\n"
        "print(shown(app.acquire_token_silent_with_error(STORAGE, account=app.get_accounts()[0])))"
    ).json
    assert seen["error"] == "broker_error"
    assert seen["error_description"] == (
        "planted. Status: Response_Status.Status_InteractionRequired, Error code: 0, Tag: 3"
    )


def test_rule_4_what_no_sign_in_mends_is_not_asked_about(msal_run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("device_not_registered", method="acquireTokenSilently")
    seen = msal_run("print(shown(ask(make_app())))").json
    assert "Status: Response_Status.Status_DeviceNotRegistered" in seen["error_description"]
    assert fake_broker.calls_of("acquireTokenInteractively") == []


@pytest.mark.fake_broker(persona="microsoft-2.0.1")
@pytest.mark.parametrize("fault", ["redirect_uri_unknown", "client_secret_required"])
def test_rule_4_a_redirect_uri_that_is_not_registered(msal_run: Run, fake_broker: RunningFake, fault: str) -> None:
    fake_broker.plant(fault, method="acquireTokenSilently")
    seen = msal_run("try:\n    ask(make_app())\nexcept ValueError as error:\n    print(shown(str(error)))").json
    assert "needs the current app to register these redirect_uri" in seen


def test_rule_4_a_window_must_be_named(msal_run: Run, fake_broker: RunningFake) -> None:
    seen = msal_run(
        "try:\n    make_app().acquire_token_interactive(GRAPH)\n"
        "except ValueError as error:\n    print(shown(str(error)))"
    ).json
    assert "parent_window_handle is required" in seen
