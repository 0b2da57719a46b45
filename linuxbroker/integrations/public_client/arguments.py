"""Conversions of the arguments that MSAL's methods accept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from linuxbroker.client import DEFAULT_AUTHORITY
from linuxbroker.integrations.public_client.msal_application import msal
from linuxbroker.redaction.secrets import Concealed, HiddenFields
from linuxbroker.tokens.pop import PopAuthScheme


def request_data(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Read the extra parameters of a request, which MSAL accepts as ``data``.

    Args:
        kwargs: the keyword arguments of a method.

    Returns:
        The parameters.

    Raises:
        ValueError: they are not a mapping.
    """
    data: Concealed[object] = Concealed(kwargs.get("data") or {})
    is_mapping = isinstance(data.value, Mapping)
    if not is_mapping:
        raise ValueError(f"data must be a dict of extra parameters, not {type(data.value).__name__}")
    return HiddenFields(cast("Mapping[str, Any]", data.value))


def scope_list(scopes: Sequence[str] | None) -> list[str] | None:
    """Copy scopes to a list, as MSAL requires.

    Args:
        scopes: the scopes, or None.

    Returns:
        The list, or None.

    Raises:
        ValueError: they are not a list; MSAL would split a string into its letters.
    """
    if not _is_list(scopes):
        raise ValueError('scopes must be a list of str, such as ["https://graph.microsoft.com/User.Read"]')
    return None if scopes is None else list(scopes)


def _is_list(value: object) -> bool:
    return value is None or (isinstance(value, Iterable) and not isinstance(value, (str, bytes)))


def broker_authority(authority: str | None) -> str:
    """Reduce an authority to what MSAL passes to a broker.

    Args:
        authority: the application's, or None for the default.

    Returns:
        The host and the first part of the path.
    """
    if authority is None:
        return DEFAULT_AUTHORITY
    parts = urlsplit(authority)
    tenant = parts.path.strip("/").partition("/")[0]
    return f"{parts.scheme}://{parts.hostname or ''}/{tenant}"


def to_msal_scheme(scheme: object | None) -> Any:
    """Convert an authentication scheme for MSAL.

    Args:
        scheme: this library's ``PopAuthScheme``, or anything that MSAL accepts.

    Returns:
        MSAL's ``PopAuthScheme``, or the value unchanged.
    """
    if not isinstance(scheme, PopAuthScheme):
        return scheme
    return msal.PopAuthScheme((scheme.http_method or "").upper(), scheme.url, scheme.nonce)


def from_msal_scheme(scheme: object | None) -> PopAuthScheme | None:
    """Convert an authentication scheme for ``BrokerClient``.

    Args:
        scheme: MSAL's or this library's ``PopAuthScheme``, or None.

    Returns:
        This library's ``PopAuthScheme``, or None.

    Raises:
        ValueError: it is something else.
    """
    if scheme is None or isinstance(scheme, PopAuthScheme):
        return scheme
    if not isinstance(scheme, msal.PopAuthScheme):
        raise ValueError(f"auth_scheme must be a PopAuthScheme, not {type(scheme).__name__}")
    msal_scheme = cast("Any", scheme)
    return PopAuthScheme(http_method=msal_scheme._http_method, url=msal_scheme._url.geturl(), nonce=msal_scheme._nonce)
