"""The call of a method: the request is written, sent, and its reply read and checked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from linuxbroker.call import failures
from linuxbroker.call.transport import BrokerTransport
from linuxbroker.wire.calls import Answer, CallContext, CallOptions
from linuxbroker.wire.json_text import MAX_JSON_DEPTH
from linuxbroker.wire.reading import read_reply

if TYPE_CHECKING:
    from linuxbroker.wire.models import Reply, WireModel

PROTOCOL_VERSION = "0.0"

ReplyT = TypeVar("ReplyT", bound="Reply")


class BrokerCaller:
    """Makes the calls of the generated proxy.

    Args:
        transport: carries the texts.
        max_reply_depth: how deeply a reply's JSON may be nested.
    """

    def __init__(self, transport: BrokerTransport, max_reply_depth: int = MAX_JSON_DEPTH) -> None:
        self._transport = transport
        self._max_reply_depth = max_reply_depth

    async def __call__(
        self, method: str, request: WireModel, reply_type: type[ReplyT], options: CallOptions, *, repeatable: bool
    ) -> Answer[ReplyT]:
        """Call a method of the interface.

        Args:
            method: its name on the wire.
            request: its request.
            reply_type: the type of its reply.
            options: how the call is made.
            repeatable: whether it may be sent a second time (``io.github.linuxbroker.Repeatable`` in the XML).

        Returns:
            The reply, which has no failure in it and lacks nothing, and the call.

        Raises:
            BrokerError: the broker returned an error, or there is no usable reply.
        """
        call = CallContext(method, options.correlation_id, options.username, request)
        write_arguments = partial(_arguments, options.correlation_id, request)
        try:
            text = await self._transport.call(method, write_arguments, options, repeatable=repeatable)
            reply = read_reply(reply_type, text, self._max_reply_depth)
        except failures.CAUSES as error:
            failure = failures.from_cause(error, call)
        else:
            in_reply = failures.from_reply(reply, call)
            if in_reply is None:
                return Answer(reply, call)
            failure = in_reply
            del reply  # from the frame that a traceback shows: its error quotes anything
        raise failure


def _arguments(correlation_id: str, request: WireModel) -> tuple[str, str, str]:
    return PROTOCOL_VERSION, correlation_id, request.to_json()
