"""The parts of a call of the interface: its options, its context, its answer, and the caller that carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from linuxbroker.redaction import texts
from linuxbroker.redaction.secrets import Secrets, redact, secrets_in

if TYPE_CHECKING:
    from linuxbroker.wire.models import Reply, WireModel

ReplyT = TypeVar("ReplyT", bound="Reply")


@dataclass(frozen=True)
class CallOptions:
    """The options of one call.

    Attributes:
        limit: seconds to wait for the reply, retries included; None for no limit.
        correlation_id: the call's correlation ID, a lowercase UUID.
        username: the UPN of the account concerned, or the empty string.
        sent_once: whether the call is never retried, as one with a password is. Default: a call of a repeatable method
            is retried once if the bus or the broker exits during it, and while the broker starts; any call is retried
            if the broker has not yet exported its object on the bus.
        for_own_bus: whether the call must not be sent over a bus of another user who is not root, unless the client
            allows it: a call with a password or a token to renew, and a sign-in.
        on_send: called when the call is written to the bus.
    """

    limit: float | None
    correlation_id: str = ""
    username: str = ""
    sent_once: bool = False
    for_own_bus: bool = False
    on_send: Callable[[], None] | None = None


@dataclass(frozen=True)
class CallContext:
    """What an error message needs to know about a call.

    Attributes:
        method: the method's name on the wire.
        correlation_id: the call's correlation ID.
        username: the UPN of the account concerned, or the empty string.
        request: the request that was sent, if any.
    """

    method: str
    correlation_id: str = ""
    username: str = ""
    request: WireModel | None = None

    @property
    def shown_username(self) -> str:
        """The username, safe for display."""
        return texts.shown(redact(self.username))

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets in the request, which must not be shown even if the broker's error quotes them."""
        return Secrets(() if self.request is None else secrets_in(self.request.secret_values()))


@dataclass(frozen=True)
class Answer(Generic[ReplyT]):
    """A reply without an error, and the call that it answers."""

    reply: ReplyT
    call: CallContext


class Caller(Protocol):
    """Makes the calls of the generated proxy."""

    async def __call__(
        self, method: str, request: WireModel, reply_type: type[ReplyT], options: CallOptions, *, repeatable: bool
    ) -> Answer[ReplyT]:
        """Call a method of the interface.

        Args:
            method: its name on the wire.
            request: its request.
            reply_type: the type of its reply.
            options: the options of the call.
            repeatable: whether the method is idempotent, so that a call without a reply can be retried.

        Returns:
            The reply, which contains no error, and the call.
        """
        ...
