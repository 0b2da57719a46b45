"""The public API of Microsoft's runtime, against each Microsoft persona of the fake broker."""

from __future__ import annotations

from typing import Any

import pytest

from linuxbroker import Status
from linuxbroker_fake import FakeConfig, RunningFake
from tests.compat.desktop import CLIENT_ID, User

ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
ADA_ID = "00000000-0000-0000-0000-0000000000a1"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
STORAGE = "https://storage.azure.com/user_impersonation"
# Read from the runtime's own enumeration by `test_every_status_reads_as_itself`, in the wire's order.
WIRE_STATUSES = [status.wire_name for status in Status]

pytestmark = pytest.mark.parametrize("persona", ["microsoft-2.0.1", "microsoft-2.5.2", "microsoft-3.0.2"])


@pytest.fixture
def fake_broker_config(persona: str) -> FakeConfig:
    return FakeConfig.model_validate({"persona": persona})


def _token(outcome: dict[str, Any], fake: RunningFake) -> dict[str, Any]:
    """The claims of an outcome's access token, which the fake Entra signed."""
    assert "error" not in outcome, outcome["error"]
    claims: dict[str, Any] = fake.broker.verify_access_token(outcome["access_token"])
    assert outcome["expires_on"] == claims["exp"]
    return claims


def test_the_runtime_pings_once_and_discovers_the_accounts(user: User, fake_broker: RunningFake) -> None:
    (outcome,) = user.run({"call": "discover_accounts"})
    # It knows one account for each home account id, in an order of its own: Ada's record as a guest is not shown.
    assert {(account["username"], account["realm"]) for account in outcome["accounts"]} == {
        (ADA, CONTOSO),
        (GRACE, FABRIKAM),
    }
    assert {account["environment"] for account in outcome["accounts"]} == {"login.microsoftonline.com"}
    assert fake_broker.calls[0].member == "Ping"
    assert len(fake_broker.calls_of("Ping")) == 1


def test_it_signs_in_silently_and_then_gets_a_token_silently(user: User, fake_broker: RunningFake) -> None:
    sign_in, token = user.run(
        {"call": "signin_silently"},
        {"call": "acquire_token_silently", "scopes": [STORAGE]},  # another resource: not in the runtime's own cache
    )
    assert _token(sign_in, fake_broker)["upn"] == ADA
    assert sign_in["account"]["username"] == ADA
    assert _token(token, fake_broker)["aud"].rstrip("/") == "https://storage.azure.com"
    assert token["granted_scopes"] == [STORAGE]
    assert token["id_token_claims"]["preferred_username"] == ADA
    assert len(fake_broker.calls_of("acquireTokenSilently")) == 2


def test_it_has_a_request_signed_for_proof_of_possession(user: User, fake_broker: RunningFake) -> None:
    pop = {"http_method": "GET", "uri_host": "graph.microsoft.com", "uri_path": "/v1.0/me", "nonce": "from-server"}
    _, outcome = user.run({"call": "signin_silently"}, {"call": "acquire_token_silently", "pop": pop})
    assert outcome["is_pop"]
    scheme, _, signed = outcome["authorization_header"].partition(" ")
    assert scheme.lower() == "pop"
    payload = fake_broker.broker.entra.verify_signed_http_request(signed)
    assert (payload["m"], payload["u"], payload["p"], payload["nonce"]) == (
        "GET",
        "graph.microsoft.com",
        "/v1.0/me",
        "from-server",
    )


def test_it_signs_the_user_in_interactively(user: User, fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", upn=GRACE)
    (outcome,) = user.run({"call": "signin_interactively"})
    assert _token(outcome, fake_broker)["upn"] == GRACE
    assert outcome["account"]["username"] == GRACE


def test_it_gets_a_token_interactively_for_an_account(user: User, fake_broker: RunningFake) -> None:
    _, outcome = user.run({"call": "discover_accounts"}, {"call": "acquire_token_interactively", "account": ADA_ID})
    assert _token(outcome, fake_broker)["tid"] == CONTOSO


def test_it_hears_that_the_user_cancelled(user: User, fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    (outcome,) = user.run({"call": "signin_interactively"})
    assert outcome["error"]["status"] == "UserCanceled"


def test_it_signs_in_with_user_name_and_password(user: User, fake_broker: RunningFake) -> None:
    grace = fake_broker.directory.users[1]
    step = {
        "call": "signin_silently",
        "authority": "https://login.microsoftonline.com/organizations",
        "username": grace.upn,
    }
    right, wrong = user.run({**step, "password": grace.password}, {**step, "password": "not-the-password"})
    assert _token(right, fake_broker)["upn"] == grace.upn
    assert wrong["error"]["status"] == "InteractionRequired"


def test_it_cancels_an_interactive_sign_in(user: User, fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", delay=1.0)
    (outcome,) = user.run({"call": "signin_interactively", "cancel_after": 0.5})
    fake_broker.wait_for_call("cancelInteractiveFlow")
    (sign_in,) = fake_broker.calls_of("acquireTokenInteractively")
    (cancellation,) = fake_broker.calls_of("cancelInteractiveFlow")
    assert cancellation.request["error"]["status"] == Status.USER_CANCELED
    assert cancellation.sender == sign_in.sender
    assert outcome.get("error", {}).get("status") in ("UserCanceled", None)


def test_every_status_reads_as_itself(user: User, fake_broker: RunningFake) -> None:
    for status in Status:
        fake_broker.plant(
            "status",
            method="acquireTokenSilently",
            status=int(status),
            context=f"AADSTS900{int(status):02}: planted",
            tag=595719680,
            times=1,
        )
    outcomes = user.run(*({"call": "signin_silently", "scopes": [f"api://app/{status.name}"]} for status in Status))
    assert [outcome["error"]["status"] for outcome in outcomes] == WIRE_STATUSES
    assert all(
        f"AADSTS900{int(status):02}: planted" in outcome["error"]["context"]
        for status, outcome in zip(Status, outcomes, strict=True)
    )


def test_scopes_that_were_not_granted_are_a_failure_to_it(user: User, fake_broker: RunningFake) -> None:
    scopes = ["https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read"]
    fake_broker.plant("scopes_declined", scopes=[scopes[1]])
    (outcome,) = user.run({"call": "signin_silently", "scopes": scopes})
    assert outcome["error"]["status"] == "ApiContractViolation"
    assert "declined scopes" in outcome["error"]["context"]


def test_a_claims_challenge_gets_it_a_token_that_holds(user: User, fake_broker: RunningFake) -> None:
    challenge = fake_broker.revoke(ADA)
    _, outcome = user.run(
        {"call": "discover_accounts"}, {"call": "acquire_token_silently", "account": ADA_ID, "claims": challenge}
    )
    _token(outcome, fake_broker)
    (call,) = fake_broker.calls_of("acquireTokenSilently")
    assert call.request["authParameters"]["decodedClaims"] == challenge
    assert call.request["authParameters"]["clientId"] == CLIENT_ID
