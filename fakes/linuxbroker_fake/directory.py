"""The fake Entra directory: tenants, users, apps and the device."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from .scopes import GRAPH, parse_scope, resource_key

NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_guid(text: str) -> bool:
    """Whether a text is a GUID of 8-4-4-4-12 hexadecimal digits, in either case."""
    return _GUID.fullmatch(text.lower()) is not None


def _check_guid(text: str) -> str:
    if not is_guid(text):
        raise ValueError(f"{text!r} is not a GUID such as 00000000-0000-0000-0000-0000000000f1")
    return text.lower()


def _check_scope(text: str) -> str:
    parse_scope(text)
    return text


def _default_token_versions() -> dict[str, Literal[1, 2]]:
    version_1 = (
        GRAPH,
        "https://management.azure.com",
        "https://management.core.windows.net",
        "https://storage.azure.com",
    )
    return dict.fromkeys(version_1, 1)


Guid = Annotated[str, AfterValidator(_check_guid)]
Upn = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
NonEmpty = Annotated[str, Field(min_length=1)]
ScopeText = Annotated[str, AfterValidator(_check_scope)]


class _Config(BaseModel):
    # The models contain passwords, so a validation error must not quote its input.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Tenant(_Config):
    """A tenant; its ``id`` is the ``realm`` of its accounts."""

    id: Guid
    domain: NonEmpty
    name: NonEmpty


class GuestIn(_Config):
    """A user's membership in a tenant other than the home tenant, with a separate object ID."""

    tenant: Guid
    object_id: Guid


class User(_Config):
    """A user; ``object_id`` is the object ID in the home tenant."""

    upn: Upn
    name: str
    given_name: str
    family_name: str
    object_id: Guid
    home_tenant: Guid
    password: str = Field(repr=False)
    guest_of: tuple[GuestIn, ...] = ()


class AppRegistration(_Config):
    """An application; if ``consented_scopes`` is None, every scope has consent."""

    client_id: NonEmpty
    name: str
    redirect_uris: tuple[str, ...] = (NATIVE_CLIENT,)
    consented_scopes: tuple[ScopeText, ...] | None = None


@dataclass(frozen=True)
class AccountRecord:
    """A broker's account: a user in one tenant."""

    user: User
    realm: str
    local_account_id: str
    environment: str

    @property
    def home_account_id(self) -> str:
        """``<home object ID>.<home tenant>``, equal in all tenants."""
        return f"{self.user.object_id}.{self.user.home_tenant}"

    @property
    def username(self) -> str:
        """The UPN."""
        return self.user.upn

    @property
    def client_info(self) -> str:
        """``{"uid": home object ID, "utid": home tenant}`` in unpadded base64url."""
        text = json.dumps({"uid": self.user.object_id, "utid": self.user.home_tenant}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    def wire(self) -> dict[str, str | int]:
        """Return the account as a JSON object with the keys of Microsoft's broker (PROTOCOL.md, "Accounts")."""
        return {
            "homeAccountId": self.home_account_id,
            "localAccountId": self.local_account_id,
            "environment": self.environment,
            "realm": self.realm,
            "username": self.username,
            "name": self.user.name,
            "givenName": self.user.given_name,
            "familyName": self.user.family_name,
            "clientInfo": self.client_info,
            "passwordExpiry": 0,
        }


class Directory(_Config):
    """The tenants, users, apps and settings of the fake Entra; the JSON keys are the names of the fields.

    ``access_token_lifetime`` is in seconds. ``token_versions`` maps a resource to the version of its access tokens: 1
    (issuer ``sts_host``) or 2 (issuer ``issuer_host``); default 2.
    """

    tenants: tuple[Tenant, ...]
    users: tuple[User, ...]
    apps: tuple[AppRegistration, ...] = ()
    allow_unregistered_apps: bool = True
    device_id: Guid = "00000000-0000-0000-0000-0000000000d1"
    token_versions: Mapping[str, Literal[1, 2]] = Field(default_factory=_default_token_versions)
    access_token_lifetime: PositiveInt = 3600
    environment: NonEmpty = "login.windows.net"
    issuer_host: NonEmpty = "login.microsoftonline.com"
    sts_host: NonEmpty = "sts.windows.net"

    @model_validator(mode="after")
    def _consistent(self) -> Directory:
        tenant_ids = {tenant.id for tenant in self.tenants}
        _check_unique("tenant id", (tenant.id for tenant in self.tenants))
        _check_unique("tenant domain", (tenant.domain.lower() for tenant in self.tenants))
        _check_unique("UPN", (user.upn.lower() for user in self.users))
        _check_unique("client id", (app.client_id.lower() for app in self.apps))
        for user in self.users:
            tenants = [user.home_tenant, *(guest.tenant for guest in user.guest_of)]
            for tenant in tenants:
                if tenant not in tenant_ids:
                    available = ", ".join(sorted(tenant_ids)) or "none"
                    raise ValueError(f"unknown tenant {tenant} of user {user.upn}; available: {available}")
            _check_unique(f"tenant of user {user.upn}", tenants)
        _check_unique("object id in one tenant", (f"{a.local_account_id} in {a.realm}" for a in self.accounts()))
        return self

    @classmethod
    def default(cls) -> Directory:
        """Return the default directory.

        Returns:
            Tenants Contoso and Fabrikam; ada@contoso.example, also a guest of Fabrikam; grace@fabrikam.example.
        """
        contoso, fabrikam, ada, ada_at_fabrikam, grace = (
            f"00000000-0000-0000-0000-0000000000{end}" for end in ("f1", "f2", "a1", "a2", "b1")
        )
        return cls(
            tenants=(
                Tenant(id=contoso, domain="contoso.example", name="Contoso"),
                Tenant(id=fabrikam, domain="fabrikam.example", name="Fabrikam"),
            ),
            users=(
                User(
                    upn="ada@contoso.example",
                    name="Ada Lovelace",
                    given_name="Ada",
                    family_name="Lovelace",
                    object_id=ada,
                    home_tenant=contoso,
                    password="not-a-real-password-ada",
                    guest_of=(GuestIn(tenant=fabrikam, object_id=ada_at_fabrikam),),
                ),
                User(
                    upn="grace@fabrikam.example",
                    name="Grace Hopper",
                    given_name="Grace",
                    family_name="Hopper",
                    object_id=grace,
                    home_tenant=fabrikam,
                    password="not-a-real-password-grace",
                ),
            ),
        )

    def accounts(self) -> tuple[AccountRecord, ...]:
        """Return all accounts: of each user the home tenant's account, then those of guest tenants."""
        return tuple(
            AccountRecord(user, realm, object_id, self.environment)
            for user in self.users
            for realm, object_id in (
                (user.home_tenant, user.object_id),
                *((guest.tenant, guest.object_id) for guest in user.guest_of),
            )
        )

    def find_account(self, home_account_id: str, realm: str | None = None) -> AccountRecord | None:
        """Find the account with a home account ID in a tenant (``realm``, a GUID; default the home tenant)."""
        for account in self.accounts():
            expected_realm = account.user.home_tenant if realm is None else realm.lower()
            if account.home_account_id == home_account_id.lower() and account.realm == expected_realm:
                return account
        return None

    def find_accounts_by_upn(self, upn: str) -> tuple[AccountRecord, ...]:
        """Return the accounts of a UPN (case-insensitive), the home tenant's first; empty if there is no such user."""
        return tuple(account for account in self.accounts() if account.username.lower() == upn.lower())

    def find_user(self, upn: str) -> User | None:
        """Find a user by UPN (case-insensitive)."""
        return next((user for user in self.users if user.upn.lower() == upn.lower()), None)

    def find_tenant(self, id_or_domain: str) -> Tenant | None:
        """Find a tenant by GUID or domain (case-insensitive)."""
        folded = id_or_domain.lower()
        return next((tenant for tenant in self.tenants if folded in (tenant.id, tenant.domain.lower())), None)

    def find_app(self, client_id: str) -> AppRegistration | None:
        """Find a registered app by client ID (case-insensitive)."""
        return next((app for app in self.apps if app.client_id.lower() == client_id.lower()), None)

    def check_password(self, upn: str, password: str) -> bool:
        """Whether there is a user with this UPN and password."""
        user = self.find_user(upn)
        return user is not None and hmac.compare_digest(user.password.encode(), password.encode())

    def token_version(self, resource: str) -> Literal[1, 2]:
        """Return the version of access tokens for a resource (any spelling of its identifier)."""
        key = resource_key(resource)
        for resource_in_table, version in self.token_versions.items():
            if resource_key(resource_in_table) == key:
                return version
        return 2


def _check_unique(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"duplicate {what}: {value}")
        seen.add(value)
