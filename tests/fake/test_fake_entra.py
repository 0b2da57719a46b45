"""The fake Entra: directory, tokens, scopes, cookies and signed HTTP requests."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from linuxbroker_fake.directory import AccountRecord, AppRegistration, Directory, GuestIn, Tenant
from linuxbroker_fake.entra import Entra, EntraError
from tests.constants import CONTOSO, FABRIKAM

ADA = "00000000-0000-0000-0000-0000000000a1"
ADA_AT_FABRIKAM = "00000000-0000-0000-0000-0000000000a2"
ADA_HOME = f"{ADA}.{CONTOSO}"
APP = "00000000-0000-0000-0000-0000000000c1"
API = "00000000-0000-0000-0000-0000000000e1"
NOW = 1_700_000_000
GRAPH = "https://graph.microsoft.com"


class Clock:
    def __init__(self) -> None:
        self.now = NOW + 0.75

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entra(clock: Clock) -> Entra:
    return Entra(Directory.default(), clock)


@pytest.fixture
def ada(entra: Entra) -> AccountRecord:
    return account_of(entra.directory, CONTOSO)


def account_of(directory: Directory, realm: str | None) -> AccountRecord:
    account = directory.find_account(ADA_HOME, realm)
    assert account is not None
    return account


def with_app(*, consented_scopes: tuple[str, ...] | None = None) -> Entra:
    app = AppRegistration(client_id=APP, name="Test app", consented_scopes=consented_scopes)
    return Entra(Directory.default().model_copy(update={"apps": (app,)}), Clock())


def read(token: str, entra: Entra) -> dict[str, Any]:
    """Verify with nothing but the published keys, as an API does."""
    keys = {key["kid"]: key for key in entra.jwks()["keys"]}
    key = jwt.PyJWK(keys[jwt.get_unverified_header(token)["kid"]])
    ignored: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud")}
    return jwt.decode(token, key, algorithms=["RS256"], options=ignored)


def refused(error: pytest.ExceptionInfo[EntraError]) -> tuple[int, str, str]:
    assert str(error.value) == error.value.description
    assert error.value.description.startswith(f"AADSTS{error.value.code}: ")
    return error.value.code, error.value.oauth_error, error.value.suberror


# The directory


def test_a_guest_has_one_home_account_id_in_all_tenants() -> None:
    accounts = Directory.default().find_accounts_by_upn("ADA@Contoso.example")
    assert [(a.realm, a.local_account_id) for a in accounts] == [(CONTOSO, ADA), (FABRIKAM, ADA_AT_FABRIKAM)]
    assert {a.home_account_id for a in accounts} == {ADA_HOME}


def test_an_account_is_written_with_the_keys_of_microsofts_broker() -> None:
    wire = account_of(Directory.default(), FABRIKAM).wire()
    client_info = str(wire.pop("clientInfo"))
    assert wire == {
        "homeAccountId": ADA_HOME,
        "localAccountId": ADA_AT_FABRIKAM,
        "environment": "login.windows.net",
        "realm": FABRIKAM,
        "username": "ada@contoso.example",
        "name": "Ada Lovelace",
        "givenName": "Ada",
        "familyName": "Lovelace",
        "passwordExpiry": 0,
    }
    assert "=" not in client_info
    padded = client_info + "=" * (-len(client_info) % 4)
    assert json.loads(base64.urlsafe_b64decode(padded)) == {"uid": ADA, "utid": CONTOSO}


def test_find_account_defaults_to_the_home_tenant() -> None:
    directory = Directory.default()
    assert account_of(directory, FABRIKAM).local_account_id == ADA_AT_FABRIKAM
    assert account_of(directory, None).realm == CONTOSO
    assert directory.find_account(ADA_HOME, APP) is None
    assert directory.find_account(f"{APP}.{CONTOSO}") is None


def test_a_directory_survives_a_round_trip_through_json() -> None:
    directory = Directory.default()
    assert Directory.model_validate_json(directory.model_dump_json()) == directory
    assert '"home_tenant"' in directory.model_dump_json()


def test_the_password_is_checked_and_never_shown() -> None:
    directory = Directory.default()
    password = directory.users[0].password
    assert directory.check_password("Ada@contoso.example", password)
    assert not directory.check_password("ada@contoso.example", password.upper())
    assert not directory.check_password("nobody@contoso.example", password)
    assert password not in repr(directory) + repr(directory.accounts())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"home_tenant": API}, f"unknown tenant {API} of user ada@contoso.example; available: {CONTOSO}"),
        ({"guest_of": [{"tenant": API, "object_id": APP}]}, f"unknown tenant {API}"),
        ({"guest_of": [{"tenant": CONTOSO, "object_id": APP}]}, f"duplicate tenant of user .*: {CONTOSO}"),
        ({"upn": "Grace@Fabrikam.example"}, "duplicate UPN: grace@fabrikam.example"),
        (
            {"guest_of": [{"tenant": FABRIKAM, "object_id": "00000000-0000-0000-0000-0000000000b1"}]},
            "duplicate object id",
        ),
        ({"object_id": "a1"}, "'a1' is not a GUID"),
        ({"shoe_size": 38}, "shoe_size"),
        ({"upn": "ada"}, "upn"),
        ({"password": ["not-a-real-password-ada"]}, "password"),
    ],
)
def test_an_inconsistent_directory_is_rejected_with_the_reason(change: dict[str, Any], message: str) -> None:
    config = Directory.default().model_dump(mode="json")
    config["users"][0] |= change
    with pytest.raises(ValidationError, match=message) as error:
        Directory.model_validate(config)
    assert "not-a-real-password" not in str(error.value)


def test_duplicate_client_ids_and_malformed_consented_scopes_are_rejected() -> None:
    config = Directory.default().model_dump(mode="json")
    with pytest.raises(ValidationError, match=f"duplicate client id: {APP}"):
        Directory.model_validate(
            config | {"apps": [{"client_id": APP, "name": "one"}, {"client_id": APP, "name": "two"}]}
        )
    with pytest.raises(ValidationError, match="invalid scope"):
        AppRegistration(client_id=APP, name="one", consented_scopes=("https://graph.microsoft.com",))


# Signing in


def test_a_password_signs_in_to_the_home_tenant_or_the_requested_tenant(entra: Entra) -> None:
    password = entra.directory.users[0].password
    assert entra.sign_in_with_password("ADA@contoso.example", password).realm == CONTOSO
    assert entra.sign_in_with_password("ada@contoso.example", password, "fabrikam.example").realm == FABRIKAM


def test_a_wrong_password_and_an_unknown_user_have_different_errors(entra: Entra) -> None:
    with pytest.raises(EntraError) as error:
        entra.sign_in_with_password("ada@contoso.example", "hunter2")
    assert refused(error) == (50126, "invalid_grant", "")
    assert "hunter2" not in str(error.value)
    with pytest.raises(EntraError) as error:
        entra.sign_in_with_password("nobody@contoso.example", "hunter2")
    assert refused(error) == (50034, "invalid_grant", "")


def test_a_user_is_unknown_in_a_tenant_without_membership(entra: Entra) -> None:
    with pytest.raises(EntraError) as error:
        entra.find_account_in("grace@fabrikam.example", CONTOSO)
    assert error.value.code == 50034
    with pytest.raises(EntraError) as error:
        entra.find_account_in("grace@fabrikam.example", "nowhere.example")
    assert refused(error) == (90002, "invalid_request", "")


def test_an_authority_names_a_tenant_or_none(entra: Entra) -> None:
    host = "https://login.microsoftonline.com"
    for authority in (f"{host}/{CONTOSO.upper()}", f"{host}/contoso.example/", f"{host}/{CONTOSO}/oauth2/v2.0"):
        tenant = entra.tenant_of_authority(authority)
        assert tenant is not None
        assert tenant.id == CONTOSO
    assert entra.tenant_of_authority(f"{host}/common") is None
    assert entra.tenant_of_authority(f"{host}/organizations/") is None
    for authority in (f"{host}/nowhere.example", host, "https://[/common"):
        with pytest.raises(EntraError) as error:
            entra.tenant_of_authority(authority)
        assert error.value.code == 90002


def test_an_unregistered_app_is_accepted_only_if_the_directory_allows_it(entra: Entra, ada: AccountRecord) -> None:
    assert entra.check_app(APP, "https://anything.example/").consented_scopes is None
    strict = Entra(Directory.default().model_copy(update={"allow_unregistered_apps": False}))
    for attempt in (
        lambda: strict.check_app(APP),
        lambda: strict.id_token(ada, APP),
        lambda: strict.access_token(ada, APP, ["User.Read"]),
    ):
        with pytest.raises(EntraError) as error:
            attempt()
        assert refused(error) == (700016, "unauthorized_client", "")


def test_a_redirect_uri_must_be_registered_for_the_app() -> None:
    entra = with_app()
    native = "https://login.microsoftonline.com/common/oauth2/nativeclient"
    assert entra.check_app(APP.upper(), native).name == "Test app"
    assert entra.check_app(APP).name == "Test app"
    with pytest.raises(EntraError) as error:
        entra.check_app(APP, native + "/")
    assert refused(error) == (50011, "invalid_request", "")


# Tokens


def test_jwks_has_the_public_key_under_its_thumbprint(entra: Entra) -> None:
    (key,) = entra.jwks()["keys"]
    assert set(key) == {"kty", "e", "n", "kid", "use", "alg"}
    canonical = f'{{"e":"{key["e"]}","kty":"RSA","n":"{key["n"]}"}}'
    digest = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest())
    assert key["kid"] == digest.decode().rstrip("=")
    assert Entra(Directory.default()).jwks() != entra.jwks()


def test_an_id_token_has_version_2_and_the_tenant_of_the_account(entra: Entra) -> None:
    claims = read(entra.id_token(account_of(entra.directory, FABRIKAM), APP, "n-1"), entra)
    subject, token_id = claims.pop("sub"), claims.pop("uti")
    assert claims == {
        "aud": APP,
        "iss": f"https://login.microsoftonline.com/{FABRIKAM}/v2.0",
        "tid": FABRIKAM,
        "oid": ADA_AT_FABRIKAM,
        "name": "Ada Lovelace",
        "preferred_username": "ada@contoso.example",
        "nonce": "n-1",
        "ver": "2.0",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 3600,
    }
    again = read(entra.id_token(account_of(entra.directory, FABRIKAM), APP), entra)
    assert again["sub"] == subject
    assert again["uti"] != token_id
    assert "nonce" not in again
    assert read(entra.id_token(account_of(entra.directory, FABRIKAM), API), entra)["sub"] != subject


def test_an_access_token_for_graph_has_version_1(entra: Entra, ada: AccountRecord) -> None:
    minted = entra.access_token(ada, APP, ["User.Read", "Mail.Read"])
    claims = read(minted.token, entra)
    expected = {
        "iss": f"https://sts.windows.net/{CONTOSO}/",
        "aud": GRAPH,
        "appid": APP,
        "upn": "ada@contoso.example",
        "unique_name": "ada@contoso.example",
        "tid": CONTOSO,
        "oid": ADA,
        "ver": "1.0",
        "scp": "User.Read Mail.Read",
        "deviceid": entra.directory.device_id,
        "iat": NOW,
        "nbf": NOW,
    }
    assert {name: claims.get(name) for name in expected} == expected
    assert minted.expires_on == claims["exp"] == NOW + 3600
    assert minted.granted_scopes == ["User.Read", "Mail.Read"]
    assert "cnf" not in claims
    assert "azp" not in claims
    assert minted.token not in repr(minted)


def test_an_access_token_for_another_api_has_version_2(entra: Entra, ada: AccountRecord) -> None:
    claims = read(entra.access_token(ada, APP, [f"api://{API}/Files.Read"]).token, entra)
    expected = {
        "iss": f"https://login.microsoftonline.com/{CONTOSO}/v2.0",
        "aud": API,
        "azp": APP,
        "preferred_username": "ada@contoso.example",
        "ver": "2.0",
        "scp": "Files.Read",
    }
    assert {name: claims.get(name) for name in expected} == expected
    assert "upn" not in claims


@pytest.mark.parametrize(
    "scope",
    [
        "https://management.core.windows.net//.default",
        "https://management.azure.com/.default",
        "https://storage.azure.com/.default",
    ],
)
def test_an_access_token_for_azure_has_version_1_with_or_without_the_extra_slash(
    entra: Entra, ada: AccountRecord, scope: str
) -> None:
    minted = entra.access_token(ada, APP, [scope])
    claims = read(minted.token, entra)
    assert (claims["ver"], claims["aud"]) == ("1.0", scope.removesuffix("/.default"))
    assert scope in minted.granted_scopes


def test_token_versions_and_lifetime_come_from_the_directory(ada: AccountRecord) -> None:
    update = {"token_versions": {f"api://{API}": 1}, "access_token_lifetime": 60}
    config = Directory.default().model_dump(mode="json") | update
    entra = Entra(Directory.model_validate(config), Clock())
    minted = entra.access_token(ada, APP, [f"API://{API}/x"])
    assert read(minted.token, entra)["ver"] == "1.0"
    assert minted.expires_on == NOW + 60
    assert read(entra.access_token(ada, APP, ["User.Read"]).token, entra)["ver"] == "2.0"


def test_each_access_token_is_unique(entra: Entra, ada: AccountRecord) -> None:
    tokens = [entra.access_token(ada, APP, ["User.Read"]).token for _ in range(5)]
    assert len(set(tokens)) == len({read(token, entra)["uti"] for token in tokens}) == 5


@pytest.mark.parametrize(("asked", "issued"), [(NOW + 500, NOW + 500), (NOW - 500, NOW)])
def test_a_claims_challenge_with_nbf_gives_a_newer_token(
    entra: Entra, ada: AccountRecord, asked: int, issued: int
) -> None:
    challenge = json.dumps({"access_token": {"nbf": {"essential": True, "value": str(asked)}}})
    minted = entra.access_token(ada, APP, ["User.Read"], claims=challenge)
    claims = read(minted.token, entra)
    assert (claims["nbf"], claims["iat"], claims["exp"]) == (issued, issued, issued + 3600)
    assert minted.expires_on == issued + 3600


def test_acrs_and_xms_cc_of_a_claims_challenge_are_claims_of_the_token(entra: Entra, ada: AccountRecord) -> None:
    wanted = {"acrs": {"essential": True, "value": "c1"}, "xms_cc": {"values": ["cp1"]}, "unknown": None}
    claims = read(entra.access_token(ada, APP, ["x"], claims=json.dumps({"access_token": wanted})).token, entra)
    assert (claims["acrs"], claims["xms_cc"]) == (["c1"], ["cp1"])
    for nothing in (None, "", "{}", '{"id_token":{"acrs":{"value":"c1"}}}'):
        assert "acrs" not in read(entra.access_token(ada, APP, ["x"], claims=nothing).token, entra)


@pytest.mark.parametrize(
    "claims", ["{", "[]", "null", '{"access_token":{"nbf":{"value":"soon"}}}', '{"access_token":3}']
)
def test_a_malformed_claims_challenge_is_rejected(entra: Entra, ada: AccountRecord, claims: str) -> None:
    with pytest.raises(EntraError) as error:
        entra.access_token(ada, APP, ["User.Read"], claims=claims)
    assert refused(error) == (9002313, "invalid_request", "")


# Scopes


@pytest.mark.parametrize(
    ("requested", "scp", "granted"),
    [
        ([f"{GRAPH}/.default"], "User.Read", [f"{GRAPH}/.default", f"{GRAPH}/User.Read"]),
        (["https://storage.azure.com/.default"], "user_impersonation", None),
        (["https://storage.azure.com/user_impersonation"], "user_impersonation", None),
        (["openid", "offline_access", "User.Read"], "User.Read openid", ["openid", "offline_access", "User.Read"]),
        (["openid", f"api://{API}/x"], "x", ["openid", f"api://{API}/x"]),
        (["User.Read", f"{GRAPH}/user.read", "User.Read"], "user.read", ["User.Read", f"{GRAPH}/user.read"]),
        ([f"{GRAPH}/.default", "user.read"], "User.Read", [f"{GRAPH}/.default", "user.read"]),
        (["00000003-0000-0000-c000-000000000000/.default", "User.Read"], "User.Read", None),
    ],
)
def test_scopes_become_scp_names_of_one_resource(
    entra: Entra, ada: AccountRecord, requested: list[str], scp: str, granted: list[str] | None
) -> None:
    minted = entra.access_token(ada, APP, requested)
    assert read(minted.token, entra)["scp"] == scp
    assert set(requested) <= set(minted.granted_scopes)
    if granted is not None:
        assert minted.granted_scopes == granted


def test_default_scope_gives_the_consented_scopes_of_the_resource(ada: AccountRecord) -> None:
    entra = with_app(consented_scopes=("Mail.Read", f"{GRAPH}/Files.Read", f"api://{API}/x"))
    minted = entra.access_token(ada, APP, [f"{GRAPH}/.default"])
    assert read(minted.token, entra)["scp"] == "Mail.Read Files.Read"
    assert minted.granted_scopes == [f"{GRAPH}/.default", f"{GRAPH}/Mail.Read", f"{GRAPH}/Files.Read"]
    assert read(entra.access_token(ada, APP, [f"{API}/.default"]).token, entra)["scp"] == "x"


def test_consented_scopes_are_compared_without_case(ada: AccountRecord) -> None:
    entra = with_app(consented_scopes=("User.Read",))
    minted = entra.access_token(ada, APP, ["USER.READ", "openid"])
    assert read(minted.token, entra)["scp"] == "User.Read openid"
    assert minted.granted_scopes == ["USER.READ", "openid"]


@pytest.mark.parametrize("requested", [["User.Read", "Mail.Send"], [f"{API}/.default"], [f"api://{API}/User.Read"]])
def test_a_scope_without_consent_is_rejected(ada: AccountRecord, requested: list[str]) -> None:
    entra = with_app(consented_scopes=("User.Read",))
    with pytest.raises(EntraError) as error:
        entra.access_token(ada, APP, requested)
    assert refused(error) == (65001, "invalid_grant", "consent_required")


@pytest.mark.parametrize(
    ("requested", "code", "oauth_error"),
    [
        (["User.Read", "https://storage.azure.com/user_impersonation"], 28000, "invalid_request"),
        ([f"{GRAPH}/.default", "https://management.azure.com/.default"], 28000, "invalid_request"),
        ([], 900144, "invalid_request"),
        (["https://graph.microsoft.com"], 70011, "invalid_scope"),
        (["https://graph.microsoft.com/"], 70011, "invalid_scope"),
        (["User.Read Mail.Read"], 70011, "invalid_scope"),
        ([""], 70011, "invalid_scope"),
        (["offline_access"], 70011, "invalid_scope"),
    ],
)
def test_missing_malformed_and_mixed_resource_scopes_are_rejected(
    entra: Entra, ada: AccountRecord, requested: list[str], code: int, oauth_error: str
) -> None:
    with pytest.raises(EntraError) as error:
        entra.access_token(ada, APP, requested)
    assert refused(error) == (code, oauth_error, "")


# Cookies


def test_a_prt_cookie_is_bound_to_the_nonce_of_the_url(entra: Entra, ada: AccountRecord) -> None:
    cookie = entra.prt_cookie(ada, "https://login.microsoftonline.com/common/oauth2/authorize?a=b&sso_nonce=n%2D1")
    header = jwt.get_unverified_header(cookie)
    assert header["alg"] == "HS256"
    assert len(base64.b64decode(header["ctx"], validate=True)) == 24
    payload = entra.verify_prt_cookie(cookie)
    assert len(payload.pop("refresh_token")) > 40
    assert payload == {"is_primary": "true", "iat": NOW, "request_nonce": "n-1"}
    assert "request_nonce" not in entra.verify_prt_cookie(entra.prt_cookie(ada, "https://login.microsoftonline.com/"))


def test_a_user_has_one_prt_in_all_tenants(entra: Entra, ada: AccountRecord) -> None:
    (grace,) = entra.directory.find_accounts_by_upn("grace@fabrikam.example")
    guest = account_of(entra.directory, FABRIKAM)
    first, second, other = (
        entra.verify_prt_cookie(entra.prt_cookie(account, "https://login.example/"))["refresh_token"]
        for account in (ada, guest, grace)
    )
    assert first == second != other


def test_a_foreign_or_modified_prt_cookie_is_rejected(entra: Entra, ada: AccountRecord) -> None:
    cookie = entra.prt_cookie(ada, "https://login.example/?sso_nonce=n-1")
    header, _, signature = cookie.split(".")
    forged = base64.urlsafe_b64encode(b'{"is_primary":"true"}').rstrip(b"=").decode()
    foreign = Entra(Directory.default()).prt_cookie(ada, "https://login.example/")
    unsigned = jwt.encode({"is_primary": "true"}, "", algorithm="none")
    for bad in (f"{header}.{forged}.{signature}", foreign, unsigned, "", "not a cookie"):
        with pytest.raises(ValueError, match="PRT cookie is invalid"):
            entra.verify_prt_cookie(bad)


def test_a_device_cookie_is_signed_with_the_device_key(entra: Entra) -> None:
    cookie = entra.device_cookie("https://login.example/?sso_nonce=n-1")
    header = jwt.get_unverified_header(cookie)
    assert (header["alg"], header["kid"]) == ("RS256", entra.pop_key_thumbprint())
    payload = jwt.decode(cookie, options={"verify_signature": False})
    assert payload == {
        "grant_type": "device_auth",
        "deviceid": entra.directory.device_id,
        "iat": NOW,
        "request_nonce": "n-1",
    }


# Proof of possession


def bound_token(entra: Entra, account: AccountRecord) -> str:
    return entra.access_token(account, APP, ["User.Read"], cnf_kid=entra.pop_key_thumbprint()).token


def sign(entra: Entra, token: str, **changes: str) -> str:
    request = {"method": "get", "host": "graph.microsoft.com", "path": "/v1.0/me", "nonce": "n-1"} | changes
    return entra.signed_http_request(token, **request)


def test_a_signed_http_request_has_msals_form_and_verifies(entra: Entra, ada: AccountRecord) -> None:
    token = bound_token(entra, ada)
    shr = sign(entra, token, client_claims='{"a":1}')
    assert jwt.get_unverified_header(shr) == {"typ": "pop", "alg": "RS256", "kid": entra.pop_key_thumbprint()}
    payload = entra.verify_signed_http_request(shr)
    jwk = payload.pop("cnf")["jwk"]
    assert set(jwk) == {"kty", "e", "n", "kid"}
    assert payload == {
        "at": token,
        "ts": NOW,
        "m": "GET",
        "u": "graph.microsoft.com",
        "p": "/v1.0/me",
        "nonce": "n-1",
        "client_claims": '{"a":1}',
    }
    assert read(token, entra)["cnf"] == {"kid": entra.pop_key_thumbprint()}


def test_a_signed_http_request_has_a_random_nonce_by_default_and_no_client_claims(
    entra: Entra, ada: AccountRecord
) -> None:
    token = bound_token(entra, ada)
    first, second = (entra.verify_signed_http_request(sign(entra, token, nonce="")) for _ in range(2))
    assert first["nonce"] != second["nonce"]
    assert "client_claims" not in first


def test_a_signed_http_request_with_a_token_that_is_not_bound_to_its_key_is_rejected(
    entra: Entra, ada: AccountRecord
) -> None:
    bearer = entra.access_token(ada, APP, ["User.Read"]).token
    with pytest.raises(ValueError, match="cnf"):
        entra.verify_signed_http_request(sign(entra, bearer))
    thief = Entra(entra.directory)
    with pytest.raises(ValueError, match="not bound"):
        entra.verify_signed_http_request(sign(thief, bound_token(entra, ada)))


def test_a_signed_http_request_with_the_signature_of_another_key_is_rejected(entra: Entra, ada: AccountRecord) -> None:
    shr = sign(entra, bound_token(entra, ada))
    payload = jwt.decode(shr, options={"verify_signature": False})
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = jwt.encode(payload | {"p": "/admin"}, stranger, algorithm="RS256", headers={"typ": "pop"})
    with pytest.raises(ValueError, match="signed HTTP request is invalid: InvalidSignature"):
        entra.verify_signed_http_request(forged)


def test_a_signed_http_request_with_a_token_of_another_entra_is_rejected(entra: Entra, ada: AccountRecord) -> None:
    other = Entra(entra.directory)
    foreign = other.access_token(ada, APP, ["User.Read"], cnf_kid=entra.pop_key_thumbprint()).token
    with pytest.raises(ValueError, match="access token is invalid"):
        entra.verify_signed_http_request(sign(entra, foreign))


def test_a_signed_http_request_with_an_expired_token_is_rejected(
    entra: Entra, ada: AccountRecord, clock: Clock
) -> None:
    shr = sign(entra, bound_token(entra, ada))
    clock.now += 3598
    assert entra.verify_signed_http_request(shr)["m"] == "GET"
    clock.now += 2
    with pytest.raises(ValueError, match="expired"):
        entra.verify_signed_http_request(shr)


def test_a_text_that_is_not_a_signed_http_request_is_rejected(entra: Entra, ada: AccountRecord) -> None:
    for bad in (bound_token(entra, ada), "", "a.b.c"):
        with pytest.raises(ValueError, match=r"signed HTTP request (is not a JWT|does not have the type pop)"):
            entra.verify_signed_http_request(bad)


def test_models_are_frozen() -> None:
    tenant = Tenant(id=CONTOSO.upper(), domain="contoso.example", name="Contoso")
    assert tenant.id == CONTOSO
    with pytest.raises(ValidationError, match="frozen"):
        setattr(tenant, "name", "Other")  # noqa: B010 - what a type checker forbids is what is tested
    guest = GuestIn(tenant=FABRIKAM, object_id=ADA_AT_FABRIKAM)
    assert hash(guest) == hash(GuestIn(tenant=FABRIKAM, object_id=ADA_AT_FABRIKAM))
