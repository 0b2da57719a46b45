"""What does a broker answer? The reply of each method, with what differs between brokers evened out in the validators.

Nothing above this file asks which broker answered.
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

_MOST_ITEMS = 10_000
# An old Himmelblau wrote the names in place of the numbers (PROTOCOL.md, "Tokens").
_TOKEN_TYPE_NAMES = {"bearer": 0, "pop": 1}
# What can stand in an HTTP header as a value, and alone: visible ASCII (RFC 9110, 5.5), as JWTs and opaque tokens are.
_HEADER_VALUE = re.compile(r"[\x21-\x7e]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # RFC 6265, 4.1.1


# What the schemas say of keys that the validators below even out: as the wire has them, not as the model does.
_NULL = {"type": "null"}
_NumberOrName = WithJsonSchema({"anyOf": [{"type": "integer"}, {"enum": ["Bearer", "bearer", "PoP", "pop"]}, _NULL]})
_NumberOrDigits = WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]*$"}, _NULL]})
_TextOrList = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, _NULL]})


def _matching(alphabet: re.Pattern[str]) -> AfterValidator:
    """Refuse a text with other characters: it would end the header that it is put into, or change it."""

    def check(value: str) -> str:
        if not alphabet.fullmatch(value):
            raise PydanticCustomError("no_header_value", "it can't stand in an HTTP header")
        return value

    return AfterValidator(check)


_HeaderValue = Annotated[str, _matching(_HEADER_VALUE)]


def _few(value: Any) -> Any:
    """Refuse a list that is longer than any broker's: each item that is wrong would take memory of its own."""
    items = cast("Sequence[object]", value) if isinstance(value, list) else ()
    if len(items) > _MOST_ITEMS:
        raise ValueError(f"more than {_MOST_ITEMS:,} items")
    return cast("object", value)


def _account_or_none(value: object, read: Callable[[object], Account | None]) -> Account | None:
    """An account that makes no sense costs only itself, not the token, the cookie or the accounts beside it."""
    try:
        return read(value)
    except ValidationError:
        return None


def _refusal_inside(value: object) -> BrokerErrorBody | None:
    """The first refusal in a JSON value, however deep: an error, or a success that is not true.

    Not by recursion, as the depth is the broker's, and each item is looked at once.
    """
    waiting = deque([value])
    while waiting:
        item = waiting.popleft()
        if isinstance(item, list):
            waiting.extend(inner for inner in cast("list[object]", item) if _has_items(inner))
        elif isinstance(item, Mapping):
            for key, inner in cast("Mapping[str, object]", item).items():
                name = key.casefold()
                if name == "error" and (inner or inner == {}):
                    return _error_body(inner)
                if name == "success" and inner not in (None, True):
                    return BrokerErrorBody()
                if _has_items(inner):
                    waiting.append(inner)
    return None


def _has_items(value: object) -> bool:
    return isinstance(value, (dict, list))


def _error_body(value: object) -> BrokerErrorBody:
    try:
        return BrokerErrorBody.model_validate(value)
    except ValidationError:
        return BrokerErrorBody(context=value if isinstance(value, str) else "")


def _no_boolean(value: Any) -> Any:
    """Refuse what would else read as 0 or 1."""
    if isinstance(value, bool):
        raise ValueError("a boolean is no number")
    return value


class Reply(WireModel):
    """What every reply can hold: an error at the top level, and telemetry."""

    content_matters: ClassVar[bool] = True
    """Whether a reply that is not a JSON object at all is a fault; false where nobody relies on the content."""

    error: BrokerErrorBody | None = None
    telemetry: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    @field_validator("telemetry", mode="before")
    @classmethod
    def _object_or_nothing(cls, value: Any) -> Any:
        return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}

    @property
    def failure(self) -> BrokerErrorBody | None:
        """The error of the reply, wherever it stands in it, or None."""
        return self.error

    @property
    def sub_error(self) -> str:
        """The sub-error that goes with ``failure``, or the empty string."""
        return ""

    @property
    def lacks(self) -> str:
        """What a reply without an error must contain and does not, for a message; the empty string if all is there."""
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
    def _odd_account_is_none(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Account | None:
        return _account_or_none(value, read)

    @field_validator(
        "access_token", "client_info", "id_token", "refresh_token", "sts_sub_error", "sub_error", mode="before"
    )
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value

    @field_validator("access_token_type", mode="before")
    @classmethod
    def _number_for_name(cls, value: Any) -> Any:
        if value is None:
            return 0
        _no_boolean(value)
        return _TOKEN_TYPE_NAMES.get(value.casefold(), value) if isinstance(value, str) else value

    @field_validator("expires_on", "extended_expires_on", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        return None if value == "" else _no_boolean(value)

    @field_validator("granted_scopes", mode="before")
    @classmethod
    def _list_for_text(cls, value: Any) -> Any:
        return _few(value.split(maxsplit=_MOST_ITEMS) if isinstance(value, str) else value)


class AcquireTokenReply(Reply):
    """The reply of ``acquireTokenSilently`` and ``acquireTokenInteractively``."""

    broker_token_response: BrokerTokenResponse | None = None

    @property
    def failure(self) -> BrokerErrorBody | None:
        """The error at either level; it wins over a token that is there as well (PROTOCOL.md, "Tokens")."""
        nested = self.broker_token_response.error if self.broker_token_response else None
        return self.error or nested

    @property
    def sub_error(self) -> str:
        """The ``subError`` beside the error, which broker 2.0.1 calls ``stsSubError``."""
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
    def _sound_accounts(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Sequence[Account] | None:
        """Leave out the accounts that make no sense, as the others do; refuse a list of nothing else."""
        items = _few(value)
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
    """The reply of ``removeAccount``: an object without an error at any level is success, and nothing else is."""

    success: Any = None

    @property
    def failure(self) -> BrokerErrorBody | None:
        """The error wherever it stands; one without a text where the reply says ``"success": false``."""
        return self.error or _refusal_inside({**(self.model_extra or {}), "success": self.success})


class CancelInteractiveFlowReply(Reply):
    """The reply of ``cancelInteractiveFlow``, whose content nobody relies on."""

    content_matters = False


class CookieItem(WireModel):
    """One cookie: the name of the HTTP header that it goes into, and what the header holds."""

    cookie_name: Annotated[str, _matching(_HEADER_NAME)]
    cookie_content: Annotated[str, _matching(_COOKIE_VALUE)] = Secret()


class AcquirePrtSsoCookieReply(Reply):
    """The reply of ``acquirePrtSsoCookie``; the flat shape of older brokers is read as a list of one."""

    model_config = ConfigDict(
        json_schema_extra={
            "description": "Newer brokers give cookieItems, older ones and Himmelblau cookieName and cookieContent.",
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
    def _odd_account_is_none(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Account | None:
        return _account_or_none(value, read)

    @field_validator("cookie_items", mode="before")
    @classmethod
    def _few_cookies(cls, value: Any) -> Any:
        return _few(value)

    @model_validator(mode="before")
    @classmethod
    def _list_for_flat(cls, value: Any) -> Any:
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
