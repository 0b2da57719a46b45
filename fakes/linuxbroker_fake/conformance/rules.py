"""What holds for every call of every case? The rules that no vector repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence

from linuxbroker.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH
from linuxbroker_fake.conformance.wire import SentCall

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PROTOCOL_VERSION = "0.0"
_CANCEL = "cancelInteractiveFlow"


class Past:
    """What a program under test did before.

    Attributes:
        correlation_ids: the ids that its calls had.
        callers: the bus names under which it has called the broker.
        cases: the vectors that were played to it.
    """

    def __init__(self) -> None:
        self.correlation_ids: set[str] = set()
        self.callers: set[str] = set()
        self.cases: set[str] = set()


def broken_rules(operation: str, calls: Sequence[SentCall], past: Past) -> list[str]:
    """Check what one operation sent against the rules that hold for every call.

    Args:
        operation: what the driver was asked to do.
        calls: all that it sent to the broker, and asked the bus about it.
        past: what came before; this operation is added.

    Returns:
        What is broken, one sentence for each, with the row of PROTOCOL.md.
    """
    broken: list[str] = []
    own_ids: set[str] = set()
    for call in calls:
        if call.is_lookup:
            asks = call.member != "StartServiceByName"
            if asks and (call.sender in past.callers or operation == "watchPresence"):
                continue
            broken.append(f"asked the bus for the broker before it called it: {call.member} (CL-02)")
        elif not call.is_broker_call:
            broken += _foreign_call(operation, call)
        else:
            past.callers.add(call.sender)
            broken += _broker_call(call)
            if call.member == _CANCEL:
                if call.correlation_id in past.correlation_ids | own_ids:
                    broken.append("cancelInteractiveFlow has the correlation id of another call (CA-03)")
            else:
                own_ids.add(call.correlation_id)
    if len(own_ids) > 1:
        broken.append("the calls of one operation have different correlation ids (TR-07)")
    if own_ids & past.correlation_ids:
        broken.append("has the correlation id of an operation before it (TR-07)")
    past.correlation_ids |= own_ids
    return broken


def _foreign_call(operation: str, call: SentCall) -> list[str]:
    name = f"{call.interface or '(no interface)'}.{call.member}"
    if name == "org.freedesktop.DBus.Peer.Ping" and operation == "isAvailable":
        wrong = call.path != BROKER_OBJECT_PATH
        return [f"Ping goes to the path {call.path} (TR-13)"] if wrong else []
    row = "CL-01" if call.member == "Introspect" else "CL-02"
    return [f"sent {name} to the broker ({row})"]


def _broker_call(call: SentCall) -> list[str]:
    broken: list[str] = []
    if call.destination != BROKER_BUS_NAME and not call.destination.startswith(":"):
        broken.append(f"{call.member} goes to the bus name {call.destination} (TR-02)")
    if call.path != BROKER_OBJECT_PATH:
        broken.append(f"{call.member} goes to the path {call.path} (TR-02)")
    if call.interface != BROKER_INTERFACE:
        broken.append(f"{call.member} is of the interface {call.interface} (TR-02)")
    if call.signature != "sss":
        broken.append(f"{call.member} has the signature {call.signature!r}, not 'sss' (TR-03)")
        return broken
    if call.body[0] != _PROTOCOL_VERSION:
        broken.append(f"{call.member} has the protocol version {call.body[0]!r}, not '0.0' (TR-05)")
    if not _UUID.fullmatch(call.correlation_id):
        broken.append(f"{call.member} has a correlation id that is no lowercase UUID (TR-06)")
    if not isinstance(call.request, dict):
        broken.append(f"{call.member} carries no JSON object (TR-04)")
    return broken
