"""Accounts, tokens and errors that callbacks receive, with the getters of Microsoft's runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from linuxbroker.runtime.enums import Response_Status

if TYPE_CHECKING:
    from linuxbroker.wire.models import Account


class MSALRuntimeError:
    """The reason why a call failed.

    Args:
        status: the status.
        error_code: the broker's error code, or 0.
        tag: the number of the place at which it failed.
        context: the description, without tokens, cookies and passwords.
    """

    def __init__(self, status: Response_Status, error_code: int, tag: int, context: str) -> None:
        self._status = status
        self._error_code = error_code
        self._tag = tag
        self._context = context

    def get_status(self) -> Response_Status:
        """The status."""
        return self._status

    def get_error_code(self) -> int:
        """The broker's error code, or 0."""
        return self._error_code

    def get_tag(self) -> int:
        """The number of the place at which the call failed."""
        return self._tag

    def get_context(self) -> str:
        """The description."""
        return self._context

    def __str__(self) -> str:
        return (
            f"ErrorTag: {self._tag}, ErrorCode: {self._error_code}, ErrorContext: {self._context}, "
            f"ErrorStatus: {self._status}"
        )


class MSALRuntimeAccount:
    """An account; only the runtime creates instances.

    Args:
        account: the broker's account.
        additional_fields: a JSON object as text.
    """

    def __init__(self, account: Account, additional_fields: str = "{}") -> None:
        self._account = account
        self._additional_fields = additional_fields

    def get_account_id(self) -> str:
        """The local account ID, the argument of ``read_account_by_id``."""
        return self._account.local_account_id or self._account.home_account_id

    def get_home_account_id(self) -> str:
        """``OBJECT ID.TENANT ID`` of the home tenant."""
        return self._account.home_account_id

    def get_environment(self) -> str:
        """The login host."""
        return self._account.environment

    def get_realm(self) -> str:
        """The tenant ID."""
        return self._account.realm

    def get_local_account_id(self) -> str:
        """The object ID in the tenant."""
        return self.get_account_id()

    def get_user_name(self) -> str:
        """The UPN."""
        return self._account.username

    def get_given_name(self) -> str | None:
        """The given name, if it is known."""
        return self._account.given_name or None

    def get_family_name(self) -> str | None:
        """The family name, if it is known."""
        return self._account.family_name or None

    def get_middle_name(self) -> str | None:
        """The middle name, if it is known."""
        return self._account.middle_name or None

    def get_display_name(self) -> str | None:
        """The display name, if it is known."""
        return self._account.name or None

    def get_additional_fields_json(self) -> str:
        """The claims of the account's ID token, a JSON object as text."""
        return self._additional_fields

    def get_home_environment(self) -> str | None:
        """The login host of the home tenant, if it is known."""
        return self._account.home_environment or None

    def get_client_info(self) -> str | None:
        """Entra's client info, base64url, if it is known."""
        return self._account.client_info or None


def unwrap_account(account: MSALRuntimeAccount) -> Account:
    """Get the broker's account.

    Args:
        account: the application's argument.

    Returns:
        The account to send to the broker.
    """
    return account._account  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True)
class Token:
    """A token with what the getters of a result return.

    Attributes:
        access_token: the token; for proof of possession, the signed HTTP request.
        is_pop: whether it is a proof-of-possession token.
        expires_on: the expiry time in seconds since the epoch.
        granted_scopes: the granted scopes.
        raw_id_token: the raw ID token.
        id_token: the claims of the ID token, a JSON object as text.
    """

    access_token: str = field(repr=False)
    is_pop: bool
    expires_on: int
    granted_scopes: Sequence[str]
    raw_id_token: str = field(repr=False)
    id_token: str = field(repr=False)


class _Result:
    def __init__(self, telemetry: Mapping[str, str], error: MSALRuntimeError | None) -> None:
        self._telemetry = telemetry
        self._error = error

    def get_error(self) -> MSALRuntimeError | None:
        """The error; None if the call succeeded."""
        return self._error

    def get_telemetry_data(self) -> dict[str, str]:
        """Telemetry of the call, without personal data."""
        return dict(self._telemetry)


class MSALRuntimeAuthResult(_Result):
    """The result of a token request; only the runtime creates instances.

    Args:
        telemetry: telemetry of the call.
        error: the error, or None.
        account: the account of the token, or None.
        token: the token, or None.
    """

    def __init__(
        self,
        telemetry: Mapping[str, str],
        error: MSALRuntimeError | None = None,
        account: MSALRuntimeAccount | None = None,
        token: Token | None = None,
    ) -> None:
        super().__init__(telemetry, error)
        self._account = account
        self._token = token

    def get_account(self) -> MSALRuntimeAccount | None:
        """The account of the token."""
        return self._account

    def get_id_token(self) -> str | None:
        """The claims of the ID token, a JSON object as text."""
        return (self._token.id_token or None) if self._token else None

    def get_raw_id_token(self) -> str | None:
        """The raw ID token."""
        return (self._token.raw_id_token or None) if self._token else None

    def get_access_token(self) -> str | None:
        """The access token; for proof of possession, the signed HTTP request."""
        return self._token.access_token if self._token else None

    def get_granted_scopes(self) -> list[str] | None:
        """The granted scopes."""
        return list(self._token.granted_scopes) if self._token else None

    def get_authorization_header(self) -> str | None:
        """The ``Authorization`` header of a proof-of-possession token, ``pop …``; else None."""
        return f"pop {self._token.access_token}" if self._token and self._token.is_pop else None

    def is_pop_authorization(self) -> int:
        """1 for a proof-of-possession token, else 0."""
        return int(self._token is not None and self._token.is_pop)

    def get_access_token_expiry_time(self) -> int:
        """The expiry time of the access token in seconds since the epoch; 0 without a token."""
        return self._token.expires_on if self._token else 0


class MSALRuntimeSignOutResult(_Result):
    """The result of a sign-out; only the runtime creates instances.

    Args:
        telemetry: telemetry of the call.
        error: the error, or None.
    """

    def __init__(self, telemetry: Mapping[str, str], error: MSALRuntimeError | None = None) -> None:
        super().__init__(telemetry, error)


class MSALRuntimeReadAccountResult(_Result):
    """The result of a search for an account; only the runtime creates instances.

    Args:
        telemetry: telemetry of the call.
        error: the error, or None.
        account: the account, or None.
    """

    def __init__(
        self,
        telemetry: Mapping[str, str],
        error: MSALRuntimeError | None = None,
        account: MSALRuntimeAccount | None = None,
    ) -> None:
        super().__init__(telemetry, error)
        self._account = account

    def get_account(self) -> MSALRuntimeAccount | None:
        """The account.

        Raises:
            RuntimeError: the call failed; ``get_error`` has the error.
        """
        if self._error is not None:
            _raise(self._error)
        return self._account


class MSALRuntimeDiscoverAccountsResult(_Result):
    """The result of a listing of accounts; only the runtime creates instances.

    Args:
        telemetry: telemetry of the call.
        error: the error, or None.
        accounts: the accounts.
    """

    def __init__(
        self,
        telemetry: Mapping[str, str],
        error: MSALRuntimeError | None = None,
        accounts: Sequence[MSALRuntimeAccount] = (),
    ) -> None:
        super().__init__(telemetry, error)
        self._accounts = accounts

    def get_accounts(self) -> list[MSALRuntimeAccount]:
        """The accounts, one for each user."""
        return list(self._accounts)


def _raise(error: MSALRuntimeError) -> NoReturn:
    raise RuntimeError(str(error))
