"""Arguments of the runtime's functions, and type checks with the messages of Microsoft's runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from linuxbroker.redaction.secrets import hidden

T = TypeVar("T")


def check_type(name: str, value: object, kind: type[T]) -> T:
    """Check the type of an argument.

    Args:
        name: the name of the argument.
        value: its value.
        kind: the required class.

    Returns:
        The value.

    Raises:
        TypeError: the value is of another class.
    """
    if not isinstance(value, kind):
        raise TypeError(f"Argument '{name}' has incorrect type (expected {kind.__name__}, got {type(value).__name__})")
    return value


def check_callback(value: object) -> Callable[..., object]:
    """Check a callback.

    Raises:
        TypeError: it is not callable.
    """
    if value is None:
        raise TypeError("Argument 'callback' must not be None")
    if not callable(value):
        raise TypeError(f"Argument 'callback' has incorrect type (expected a callable, got {type(value).__name__})")
    return value


def check_handle(value: object) -> int:
    """Check a window handle.

    Raises:
        TypeError: it is not a whole number.
        RuntimeError: it cannot be the handle of a window.
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
class AuthParameters:
    """The parameters of a token request at the start of a call.

    Attributes:
        client_id: the client ID of the application.
        authority: the authority, not checked.
        scopes: the scopes, not checked.
        redirect_uri: the redirect URI, or the empty string.
        claims: a claims challenge, or the empty string.
        access_token_to_renew: the token that a resource rejected, or the empty string.
        pop: the HTTP request of a proof-of-possession token, or None.
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
    """The parameters of a token request.

    Args:
        clientid: the client ID of the application.
        authority: ``https://HOST/TENANT``.

    Raises:
        TypeError: one of them is not a str.
    """

    def __init__(self, clientid: str, authority: str) -> None:
        self._parameters: dict[str, Any] = {
            "client_id": check_type("clientid", clientid, str),
            "authority": check_type("authority", authority, str),
        }
        self._additional: dict[str, str] = {}

    def set_requested_scopes(self, scopes: list[str]) -> None:
        """Set the scopes to request.

        Args:
            scopes: the scopes; an item with spaces counts as several.

        Raises:
            TypeError: it is not a list of str.
        """
        if scopes is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError("Argument 'scopes' must not be None")
        if not isinstance(scopes, list):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("scopes must be an list type")
        for index, scope in enumerate(cast("list[object]", scopes)):
            if not isinstance(scope, str):
                raise TypeError(f"sequence item {index}: expected str instance, {type(scope).__name__} found")
        self._parameters["scopes"] = tuple(scopes)

    def set_redirect_uri(self, redirect_uri: str) -> None:
        """Set the application's redirect URI.

        Args:
            redirect_uri: a redirect URI of the app registration.

        Raises:
            TypeError: it is not a str.
        """
        self._parameters["redirect_uri"] = check_type("redirect_uri", redirect_uri, str)

    def set_decoded_claims(self, claims: str) -> None:
        """Set a claims challenge.

        Args:
            claims: a JSON object as text.

        Raises:
            TypeError: it is not a str.
        """
        self._parameters["claims"] = check_type("claims", claims, str)

    def set_access_token_to_renew(self, access_token: str) -> None:
        """Set the token that a resource rejected.

        Args:
            access_token: the token.

        Raises:
            TypeError: it is not a str.
        """
        self._parameters["access_token_to_renew"] = check_type("access_token", access_token, str)

    def set_pop_params(self, http_method: str, uri_host: str, uri_path: str, nonce: str | None) -> None:
        """Request a proof-of-possession token.

        Args:
            http_method: the method of the HTTP request that the token is for.
            uri_host: the host of that request, with the port if there is one.
            uri_path: the path of that request.
            nonce: the nonce from the resource, or None.

        Raises:
            TypeError: one of them is not a str.
        """
        nonce = hidden(nonce)
        self._parameters["pop"] = Pop(
            check_type("http_method", http_method, str),
            check_type("uri_host", uri_host, str),
            check_type("uri_path", uri_path, str),
            None if nonce is None else check_type("nonce", nonce, str),
        )

    def set_additional_parameter(self, key: str, value: str) -> None:
        """Set a parameter that has no setter of its own.

        Args:
            key: the name; ``MSALRuntime_Username`` and ``MSALRuntime_Password`` are the user name and the password, any
                other is a query parameter of the request to Entra.
            value: the value.

        Raises:
            TypeError: one of them is not a str.
        """
        value = hidden(value)
        self._additional[check_type("key", key, str)] = check_type("value", value, str)


def snapshot_parameters(auth_params: MSALRuntimeAuthParameters) -> AuthParameters:
    """Copy the parameters of a request, which the application may change during the call.

    Args:
        auth_params: the application's object.

    Returns:
        The copy.
    """
    return AuthParameters(**auth_params._parameters, additional=dict(auth_params._additional))  # pyright: ignore[reportPrivateUsage]
