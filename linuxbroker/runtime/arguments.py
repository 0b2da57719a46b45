"""What do the runtime's functions take? Types checked at once, with the texts that Microsoft's runtime raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from linuxbroker.redaction.secrets import hidden

T = TypeVar("T")


def checked(name: str, value: object, kind: type[T]) -> T:
    """Check the type of an argument.

    Args:
        name: the argument's name.
        value: what was given.
        kind: the class that it has to be of.

    Returns:
        The value.

    Raises:
        TypeError: it is of another.
    """
    if not isinstance(value, kind):
        raise TypeError(f"Argument '{name}' has incorrect type (expected {kind.__name__}, got {type(value).__name__})")
    return value


def checked_callback(value: object) -> Callable[..., object]:
    """Check a callback.

    Raises:
        TypeError: it can't be called.
    """
    if value is None:
        raise TypeError("Argument 'callback' must not be None")
    if not callable(value):
        raise TypeError(f"Argument 'callback' has incorrect type (expected a callable, got {type(value).__name__})")
    return value


def checked_handle(value: object) -> int:
    """Check a window handle.

    Raises:
        TypeError: it is not a whole number.
        RuntimeError: it is no window's.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("an integer is required")
    if not 0 < value < 2**63:
        raise RuntimeError(
            "ErrorTag: 540870081, ErrorCode: 0, ErrorContext: Invalid window handle, "
            "ErrorStatus: Response_Status.Status_ApiContractViolation"
        )
    return value


@dataclass(frozen=True)
class Pop:
    """The HTTP request that a proof-of-possession token is bound to."""

    http_method: str
    uri_host: str
    uri_path: str
    nonce: str | None = field(repr=False)


@dataclass(frozen=True)
class Asked:
    """What a token is asked for with, as it stood when the call began.

    Attributes:
        client_id: the application's.
        authority: as the application gave it.
        scopes: as the application gave them.
        redirect_uri: the application's; the empty string where it gave none.
        claims: the text of a claims challenge, or the empty string.
        access_token_to_renew: the token that a resource refused, or the empty string.
        pop: for proof of possession.
        additional: the additional parameters.
    """

    client_id: str
    authority: str
    scopes: tuple[str, ...] = ()
    redirect_uri: str = ""
    claims: str = field(default="", repr=False)
    access_token_to_renew: str = field(default="", repr=False)
    pop: Pop | None = None
    additional: dict[str, str] = field(default_factory=lambda: dict[str, str](), repr=False)


class MSALRuntimeAuthParameters:
    """What a token is asked for with.

    Args:
        clientid: the application's client id.
        authority: ``https://HOST/TENANT``.

    Raises:
        TypeError: one of them is not a str.
    """

    def __init__(self, clientid: str, authority: str) -> None:
        self._asked: dict[str, Any] = {
            "client_id": checked("clientid", clientid, str),
            "authority": checked("authority", authority, str),
        }
        self._additional: dict[str, str] = {}

    def set_requested_scopes(self, scopes: list[str]) -> None:
        """Set what the token is for.

        Args:
            scopes: one or several; a text with spaces counts as several.

        Raises:
            TypeError: it is not a list of str.
        """
        if scopes is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError("Argument 'scopes' must not be None")
        if not isinstance(scopes, list):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("scopes must be an list type")
        for place, scope in enumerate(cast("list[object]", scopes)):
            if not isinstance(scope, str):
                raise TypeError(f"sequence item {place}: expected str instance, {type(scope).__name__} found")
        self._asked["scopes"] = tuple(scopes)

    def set_redirect_uri(self, redirect_uri: str) -> None:
        """Set the application's redirect URI.

        Args:
            redirect_uri: one that is registered for the application.

        Raises:
            TypeError: it is not a str.
        """
        self._asked["redirect_uri"] = checked("redirect_uri", redirect_uri, str)

    def set_decoded_claims(self, claims: str) -> None:
        """Set a claims challenge.

        Args:
            claims: the text of a JSON object.

        Raises:
            TypeError: it is not a str.
        """
        self._asked["claims"] = checked("claims", claims, str)

    def set_access_token_to_renew(self, access_token: str) -> None:
        """Set the token that a resource refused.

        Args:
            access_token: the token.

        Raises:
            TypeError: it is not a str.
        """
        self._asked["access_token_to_renew"] = checked("access_token", access_token, str)

    def set_pop_params(self, http_method: str, uri_host: str, uri_path: str, nonce: str | None) -> None:
        """Ask for a proof-of-possession token.

        Args:
            http_method: of the HTTP request that the token is for.
            uri_host: its host, with the port if there is one.
            uri_path: its path.
            nonce: the resource's nonce, or None.

        Raises:
            TypeError: one of them is not a str.
        """
        nonce = hidden(nonce)
        self._asked["pop"] = Pop(
            checked("http_method", http_method, str),
            checked("uri_host", uri_host, str),
            checked("uri_path", uri_path, str),
            None if nonce is None else checked("nonce", nonce, str),
        )

    def set_additional_parameter(self, key: str, value: str) -> None:
        """Set a parameter that has no setter of its own.

        Args:
            key: its name; ``MSALRuntime_Username`` and ``MSALRuntime_Password`` go to the broker as user name and
                password, any other as a query parameter of the request to Entra.
            value: its value.

        Raises:
            TypeError: one of them is not a str.
        """
        value = hidden(value)
        self._additional[checked("key", key, str)] = checked("value", value, str)


def asked_with(auth_params: MSALRuntimeAuthParameters) -> Asked:
    """Take down what the parameters hold now: the application may go on to change them.

    Args:
        auth_params: of the application.

    Returns:
        What will not change.
    """
    return Asked(**auth_params._asked, additional=dict(auth_params._additional))  # pyright: ignore[reportPrivateUsage]
