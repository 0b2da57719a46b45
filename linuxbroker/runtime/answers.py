"""What do the runtime's callbacks get? Accounts, tokens and failures, read through getters as from Microsoft's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from linuxbroker.runtime.values import Response_Status

if TYPE_CHECKING:
    from linuxbroker.wire.models import Account


class MSALRuntimeError:
    """Why a call failed.

    Args:
        status: the outcome.
        error_code: the broker's error code, or 0.
        tag: where it happened, as a number.
        context: what happened; no token, cookie or password is in it.
    """

    def __init__(self, status: Response_Status, error_code: int, tag: int, context: str) -> None:
        self._status = status
        self._error_code = error_code
        self._tag = tag
        self._context = context

    def get_status(self) -> Response_Status:
        """The outcome."""
        return self._status

    def get_error_code(self) -> int:
        """The broker's error code, or 0."""
        return self._error_code

    def get_tag(self) -> int:
        """Where it happened, as a number."""
        return self._tag

    def get_context(self) -> str:
        """What happened."""
        return self._context

    def __str__(self) -> str:
        return (
            f"ErrorTag: {self._tag}, ErrorCode: {self._error_code}, ErrorContext: {self._context}, "
            f"ErrorStatus: {self._status}"
        )


class MSALRuntimeAccount:
    """An account, as it is shown; the runtime makes them.

    Args:
        account: the account as the broker knows it.
        additional_fields: the text of a JSON object.
    """

    def __init__(self, account: Account, additional_fields: str = "{}") -> None:
        self._account = account
        self._additional_fields = additional_fields

    def get_account_id(self) -> str:
        """What ``read_account_by_id`` finds it by: the local account id."""
        return self._account.local_account_id or self._account.home_account_id

    def get_home_account_id(self) -> str:
        """``OBJECT ID.TENANT ID`` of the home tenant."""
        return self._account.home_account_id

    def get_environment(self) -> str:
        """The login host."""
        return self._account.environment

    def get_realm(self) -> str:
        """The tenant id."""
        return self._account.realm

    def get_local_account_id(self) -> str:
        """The object id in the tenant."""
        return self.get_account_id()

    def get_user_name(self) -> str:
        """The UPN."""
        return self._account.username

    def get_given_name(self) -> str | None:
        """The given name, where it is known."""
        return self._account.given_name or None

    def get_family_name(self) -> str | None:
        """The family name, where it is known."""
        return self._account.family_name or None

    def get_middle_name(self) -> str | None:
        """The middle name, where it is known."""
        return self._account.middle_name or None

    def get_display_name(self) -> str | None:
        """The whole name, where it is known."""
        return self._account.name or None

    def get_additional_fields_json(self) -> str:
        """The claims of the ID token that the account came with, the text of a JSON object."""
        return self._additional_fields

    def get_home_environment(self) -> str | None:
        """The login host of the home tenant, where it is known."""
        return self._account.home_environment or None

    def get_client_info(self) -> str | None:
        """Entra's client info, base64url, where it is known."""
        return self._account.client_info or None


def account_behind(account: MSALRuntimeAccount) -> Account:
    """Give the account as the broker knows it.

    Args:
        account: what the application passed.

    Returns:
        The account that goes back to the broker.
    """
    return account._account  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True)
class Token:
    """A token as the getters of a result show it.

    Attributes:
        access_token: for proof of possession, the signed HTTP request.
        is_pop: whether it is one for proof of possession.
        expires_on: seconds since the epoch.
        granted_scopes: what it is for.
        raw_id_token: the ID token as it came.
        id_token: its claims, the text of a JSON object.
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
        """Why the call failed; None where it did not."""
        return self._error

    def get_telemetry_data(self) -> dict[str, str]:
        """What is known of the call itself; nothing in it is about the user."""
        return dict(self._telemetry)


class MSALRuntimeAuthResult(_Result):
    """The outcome of a call for a token; the runtime makes them.

    Args:
        telemetry: of the call.
        error: why it failed.
        account: whose token it is.
        token: the token.
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
        """Whose token it is."""
        return self._account

    def get_id_token(self) -> str | None:
        """The claims of the ID token, the text of a JSON object."""
        return (self._token.id_token or None) if self._token else None

    def get_raw_id_token(self) -> str | None:
        """The ID token as it came."""
        return (self._token.raw_id_token or None) if self._token else None

    def get_access_token(self) -> str | None:
        """The access token; for proof of possession, the signed HTTP request."""
        return self._token.access_token if self._token else None

    def get_granted_scopes(self) -> list[str] | None:
        """What the token is for."""
        return list(self._token.granted_scopes) if self._token else None

    def get_authorization_header(self) -> str | None:
        """For proof of possession the ``Authorization`` header, ``pop …``; else None."""
        return f"pop {self._token.access_token}" if self._token and self._token.is_pop else None

    def is_pop_authorization(self) -> int:
        """1 for proof of possession, else 0."""
        return int(self._token is not None and self._token.is_pop)

    def get_access_token_expiry_time(self) -> int:
        """When the access token expires, in seconds since the epoch; 0 without a token."""
        return self._token.expires_on if self._token else 0


class MSALRuntimeSignOutResult(_Result):
    """The outcome of a sign-out; the runtime makes them.

    Args:
        telemetry: of the call.
        error: why it failed.
    """

    def __init__(self, telemetry: Mapping[str, str], error: MSALRuntimeError | None = None) -> None:
        super().__init__(telemetry, error)


class MSALRuntimeReadAccountResult(_Result):
    """The outcome of a search for an account; the runtime makes them.

    Args:
        telemetry: of the call.
        error: why it failed.
        account: what was found.
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
        """What was found.

        Raises:
            RuntimeError: nothing was, as ``get_error`` says.
        """
        if self._error is not None:
            _raise(self._error)
        return self._account


class MSALRuntimeDiscoverAccountsResult(_Result):
    """The outcome of a listing of accounts; the runtime makes them.

    Args:
        telemetry: of the call.
        error: why it failed.
        accounts: what was found.
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
        """The accounts: one for each user."""
        return list(self._accounts)


def _raise(error: MSALRuntimeError) -> NoReturn:
    raise RuntimeError(str(error))
