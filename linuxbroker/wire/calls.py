"""What a method of the interface is called with, what it gives, and what carries the call."""

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
    """How one call is made.

    Attributes:
        limit: seconds to wait for the reply, a repetition's included; None for no limit.
        correlation_id: the call's correlation id, a lowercase UUID.
        username: the UPN of the account concerned, or the empty string.
        sent_once: whether the call is sent once, whatever comes back: a password is. Default: a call of a method that
            may be repeated is sent a second time if the bus or the broker exits during the first, and again while the
            broker starts; any call is sent again if the broker had not put its object on the bus yet.
        for_own_bus: whether the call is not sent over a bus of another user who is not root, unless the client allows
            that: one with a password or a token to renew, and a sign-in.
        on_send: called when the bus is reached and the call is written.
    """

    limit: float | None
    correlation_id: str = ""
    username: str = ""
    sent_once: bool = False
    for_own_bus: bool = False
    on_send: Callable[[], None] | None = None


@dataclass(frozen=True)
class CallContext:
    """What is known of a call when it fails.

    Attributes:
        method: the method's name on the wire.
        correlation_id: the call's correlation id.
        username: the UPN of the account concerned, or the empty string.
        request: what was sent, if anything.
    """

    method: str
    correlation_id: str = ""
    username: str = ""
    request: WireModel | None = None

    @property
    def shown_username(self) -> str:
        """The user name, fit to be shown."""
        return texts.shown(redact(self.username))

    @cached_property
    def secrets(self) -> Secrets:
        """The texts that were sent and must not be shown, whatever the broker says about them."""
        return Secrets(() if self.request is None else secrets_in(self.request.out_of_sight()))


@dataclass(frozen=True)
class Answer(Generic[ReplyT]):
    """A reply without a failure, and the call that it answers."""

    reply: ReplyT
    call: CallContext


class Caller(Protocol):
    """Carries the calls of the generated proxy."""

    async def __call__(
        self, method: str, request: WireModel, reply_type: type[ReplyT], options: CallOptions, *, repeatable: bool
    ) -> Answer[ReplyT]:
        """Call a method of the interface.

        Args:
            method: its name on the wire.
            request: its request.
            reply_type: the type of its reply.
            options: how the call is made.
            repeatable: whether the method may be called a second time when the first call got no reply.

        Returns:
            The reply, which has no failure in it, and the call.
        """
        ...
