"""The reply of each method; validators normalize what differs between brokers.

No other module depends on which broker replied.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, cast

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from linuxbroker.wire.models.account import Account
from linuxbroker.wire.models.base import Secret, WireModel
from linuxbroker.wire.models.error_body import BrokerErrorBody

_MAX_ITEMS = 10_000
# Old versions of Himmelblau write names instead of numbers (PROTOCOL.md, "Tokens").
_TOKEN_TYPE_NAMES = {"bearer": 0, "pop": 1}
# A complete value of an HTTP header: visible ASCII (RFC 9110, 5.5), as JWTs and opaque tokens are.
_HEADER_VALUE = re.compile(r"[\x21-\x7e]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # RFC 6265, 4.1.1


# Schemas of keys that the validators below normalize: as on the wire, not as in the model.
_NULL = {"type": "null"}
_NumberOrName = WithJsonSchema({"anyOf": [{"type": "integer"}, {"enum": ["Bearer", "bearer", "PoP", "pop"]}, _NULL]})
_NumberOrDigits = WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]*$"}, _NULL]})
_TextOrList = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, _NULL]})


def _matching(alphabet: re.Pattern[str]) -> AfterValidator:
    """Reject a text with other characters: it could end or change the HTTP header that it is put into."""

    def check(value: str) -> str:
        if not alphabet.fullmatch(value):
            raise PydanticCustomError("no_header_value", "not valid in an HTTP header")
        return value

    return AfterValidator(check)


_HeaderValue = Annotated[str, _matching(_HEADER_VALUE)]


def _limit_items(value: Any) -> Any:
    """Reject a list with more than 10,000 items: each invalid one would take memory for its error."""
    items = cast("Sequence[object]", value) if isinstance(value, list) else ()
    if len(items) > _MAX_ITEMS:
        raise ValueError(f"more than {_MAX_ITEMS:,} items")
    return cast("object", value)


def _account_or_none(value: object, read: Callable[[object], Account | None]) -> Account | None:
    """Read an account; None if it is invalid, so that the token, cookie or other accounts beside it are kept."""
    try:
        return read(value)
    except ValidationError:
        return None


def _find_failure(value: object) -> BrokerErrorBody | None:
    """The first failure in a JSON value, at any depth: an error, or a success that is not true.

    Without recursion, as the depth is not limited; each item is visited once.
    """
    queue = deque([value])
    while queue:
        item = queue.popleft()
        if isinstance(item, list):
            queue.extend(inner for inner in cast("list[object]", item) if _has_items(inner))
        elif isinstance(item, Mapping):
            for key, inner in cast("Mapping[str, object]", item).items():
                name = key.casefold()
                if name == "error" and (inner or inner == {}):
                    return _error_body(inner)
                if name == "success" and inner not in (None, True):
                    return BrokerErrorBody()
                if _has_items(inner):
                    queue.append(inner)
    return None


def _has_items(value: object) -> bool:
    return isinstance(value, (dict, list))


def _error_body(value: object) -> BrokerErrorBody:
    try:
        return BrokerErrorBody.model_validate(value)
    except ValidationError:
        return BrokerErrorBody(context=value if isinstance(value, str) else "")


def _reject_boolean(value: Any) -> Any:
    """Reject a boolean, which would otherwise become 0 or 1."""
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


class Reply(WireModel):
    """The keys of every reply: an error at the top level, and telemetry."""

    content_matters: ClassVar[bool] = True
    """Whether a reply must be a JSON object; false if its content is not used."""

    error: BrokerErrorBody | None = None
    telemetry: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    @field_validator("telemetry", mode="before")
    @classmethod
    def _object_or_empty(cls, value: Any) -> Any:
        return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}

    @property
    def failure(self) -> BrokerErrorBody | None:
        """The error of the reply, at any level, or None."""
        return self.error

    @property
    def sub_error(self) -> str:
        """The sub-error of ``failure``, or the empty string."""
        return ""

    @property
    def lacks(self) -> str:
        """The name of required content that a reply without an error lacks; empty if it lacks nothing."""
        return ""


class BrokerTokenResponse(WireModel):
    """The token part of a token reply. Source: PROTOCOL.md, "Tokens"."""

    access_token: _HeaderValue = Secret("")
    access_token_type: Annotated[int, _NumberOrName] = 0
    account: Account | None = None
    client_info: _HeaderValue = Secret("")
    error: BrokerErrorBody | None = None
    expires_on: Annotated[int | None, _NumberOrDigits] = None
    extended_expires_on: Annotated[int | None, _NumberOrDigits] = None
    granted_scopes: Annotated[Sequence[str] | None, _TextOrList] = None
    id_token: _HeaderValue = Secret("")
    refresh_token: str = Secret("")
    sts_sub_error: str = ""
    sub_error: str = ""

    @field_validator("account", mode="wrap")
    @classmethod
    def _invalid_account_is_none(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Account | None:
        return _account_or_none(value, read)

    @field_validator(
        "access_token", "client_info", "id_token", "refresh_token", "sts_sub_error", "sub_error", mode="before"
    )
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value

    @field_validator("access_token_type", mode="before")
    @classmethod
    def _token_type_from_name(cls, value: Any) -> Any:
        if value is None:
            return 0
        _reject_boolean(value)
        return _TOKEN_TYPE_NAMES.get(value.casefold(), value) if isinstance(value, str) else value

    @field_validator("expires_on", "extended_expires_on", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        return None if value == "" else _reject_boolean(value)

    @field_validator("granted_scopes", mode="before")
    @classmethod
    def _split_scopes(cls, value: Any) -> Any:
        return _limit_items(value.split(maxsplit=_MAX_ITEMS) if isinstance(value, str) else value)


class AcquireTokenReply(Reply):
    """The reply of ``acquireTokenSilently`` and ``acquireTokenInteractively``."""

    broker_token_response: BrokerTokenResponse | None = None

    @property
    def failure(self) -> BrokerErrorBody | None:
        """The error at either level; it takes precedence over a token (PROTOCOL.md, "Tokens")."""
        nested = self.broker_token_response.error if self.broker_token_response else None
        return self.error or nested

    @property
    def sub_error(self) -> str:
        """The ``subError``, which broker 2.0.1 calls ``stsSubError``."""
        response = self.broker_token_response
        return (response.sub_error or response.sts_sub_error) if response else ""

    @property
    def lacks(self) -> str:
        """The access token, if there is none."""
        return "" if self.broker_token_response and self.broker_token_response.access_token else "an access token"


class GetAccountsReply(Reply):
    """The reply of ``getAccounts``."""

    accounts: Sequence[Account] | None = None

    @field_validator("accounts", mode="wrap")
    @classmethod
    def _valid_accounts(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Sequence[Account] | None:
        """Leave out invalid accounts, as Microsoft's runtime does; reject a list that contains no valid one."""
        items = _limit_items(value)
        if not isinstance(items, list):
            return cast("Sequence[Account] | None", read(items))
        listed = [_account_or_none(item, Account.model_validate) for item in cast("list[object]", items)]
        accounts = [account for account in listed if account is not None]
        return accounts if accounts or not listed else cast("Sequence[Account]", read(items))

    @property
    def lacks(self) -> str:
        """The list, if there is none."""
        return "a list of accounts" if self.accounts is None else ""


class RemoveAccountReply(Reply):
    """The reply of ``removeAccount``: success is an object without an error at any level."""

    success: Any = None

    @property
    def failure(self) -> BrokerErrorBody | None:
        """The error at any level; one without a context if ``success`` is false."""
        return self.error or _find_failure({**(self.model_extra or {}), "success": self.success})


class CancelInteractiveFlowReply(Reply):
    """The reply of ``cancelInteractiveFlow``; its content is not used."""

    content_matters = False


class CookieItem(WireModel):
    """One cookie: the name and the value of the HTTP header that carries it."""

    cookie_name: Annotated[str, _matching(_HEADER_NAME)]
    cookie_content: Annotated[str, _matching(_COOKIE_VALUE)] = Secret()


class AcquirePrtSsoCookieReply(Reply):
    """The reply of ``acquirePrtSsoCookie``; the flat form of older brokers becomes a list of one item."""

    model_config = ConfigDict(
        json_schema_extra={
            "description": "Newer brokers return cookieItems, older ones and Himmelblau cookieName and cookieContent.",
            "anyOf": [
                {"required": ["cookieItems"]},
                {
                    "required": ["cookieName", "cookieContent"],
                    "properties": {"cookieName": {"type": "string"}, "cookieContent": {"type": "string"}},
                },
                {"required": ["error"]},
            ],
        }
    )

    account: Account | None = None
    cookie_items: Sequence[CookieItem] | None = None

    @field_validator("account", mode="wrap")
    @classmethod
    def _invalid_account_is_none(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Account | None:
        return _account_or_none(value, read)

    @field_validator("cookie_items", mode="before")
    @classmethod
    def _limit_cookies(cls, value: Any) -> Any:
        return _limit_items(value)

    @model_validator(mode="before")
    @classmethod
    def _wrap_flat_cookie(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "cookieItems" in value or "cookieName" not in value:
            return cast("object", value)
        reply = dict(cast("Mapping[str, Any]", value))
        flat = {key: reply.pop(key) for key in ("cookieName", "cookieContent") if key in reply}
        return {**reply, "cookieItems": [flat]}

    @property
    def lacks(self) -> str:
        """The cookie, if there is none."""
        return "" if self.cookie_items else "a cookie"


class GenerateSignedHttpRequestReply(Reply):
    """The reply of ``generateSignedHttpRequest``."""

    signed_http_request: _HeaderValue | None = Secret(None)

    @property
    def lacks(self) -> str:
        """The signed request, if there is none."""
        return "" if self.signed_http_request else "a signed request"


class GetLinuxBrokerVersionReply(Reply):
    """The reply of ``getLinuxBrokerVersion``."""

    linux_broker_version: str | None = None

    @property
    def lacks(self) -> str:
        """The version, if there is none."""
        return "" if self.linux_broker_version else "a version"
