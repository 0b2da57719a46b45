"""The rules that all calls must follow in every case, whatever its vector has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH
from linuxbroker_fake.conformance.wire import SentCall

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PROTOCOL_VERSION = "0.0"
_CANCEL = "cancelInteractiveFlow"


class History:
    """The earlier calls of a program under test.

    Attributes:
        correlation_ids: the correlation IDs of its calls.
        callers: the unique bus names under which it called the broker.
        cases: the IDs of the vectors that were played to it.
    """

    def __init__(self) -> None:
        self.correlation_ids: set[str] = set()
        self.callers: set[str] = set()
        self.cases: set[str] = set()


def rule_violations(operation: str, calls: Sequence[SentCall], history: History) -> list[str]:
    """Check the calls of an operation against the rules.

    Args:
        operation: the operation that the driver was given.
        calls: its calls to the broker, and its queries to the bus about the broker.
        history: the earlier calls; these calls are added.

    Returns:
        A sentence for each violation, with the row of PROTOCOL.md.
    """
    violations: list[str] = []
    own_ids: set[str] = set()
    for call in calls:
        if call.is_lookup:
            is_query = call.member != "StartServiceByName"
            if is_query and (call.sender in history.callers or operation == "watchPresence"):
                continue
            violations.append(f"queried the bus about the broker before calling it: {call.member} (CL-02)")
        elif not call.is_broker_call:
            violations += _check_other_call(operation, call)
        else:
            history.callers.add(call.sender)
            violations += _check_broker_call(call)
            if call.member == _CANCEL:
                if call.correlation_id in history.correlation_ids | own_ids:
                    violations.append("cancelInteractiveFlow has the correlation ID of another call (CA-03)")
            else:
                own_ids.add(call.correlation_id)
    if len(own_ids) > 1:
        violations.append("the calls of one operation have different correlation IDs (TR-07)")
    if own_ids & history.correlation_ids:
        violations.append("the correlation ID is that of an earlier operation (TR-07)")
    history.correlation_ids |= own_ids
    return violations


def _check_other_call(operation: str, call: SentCall) -> list[str]:
    interface_member = f"{call.interface or '(no interface)'}.{call.member}"
    if interface_member == "org.freedesktop.DBus.Peer.Ping" and operation == "isAvailable":
        is_wrong_path = call.path != BROKER_OBJECT_PATH
        return [f"Ping was sent to the path {call.path} (TR-13)"] if is_wrong_path else []
    row = "CL-01" if call.member == "Introspect" else "CL-02"
    return [f"sent {interface_member} to the broker ({row})"]


def _check_broker_call(call: SentCall) -> list[str]:
    violations: list[str] = []
    if call.destination != BROKER_BUS_NAME and not call.destination.startswith(":"):
        violations.append(f"{call.member} was sent to the bus name {call.destination} (TR-02)")
    if call.path != BROKER_OBJECT_PATH:
        violations.append(f"{call.member} was sent to the path {call.path} (TR-02)")
    if call.interface != BROKER_INTERFACE:
        violations.append(f"{call.member} was sent to the interface {call.interface} (TR-02)")
    if call.signature != "sss":
        violations.append(f"{call.member} has the signature {call.signature!r}, not 'sss' (TR-03)")
        return violations
    if call.body[0] != _PROTOCOL_VERSION:
        violations.append(f"{call.member} has the protocol version {call.body[0]!r}, not '0.0' (TR-05)")
    if not _UUID.fullmatch(call.correlation_id):
        violations.append(f"{call.member} has a correlation ID that is not a lowercase UUID (TR-06)")
    if not isinstance(call.request, dict):
        violations.append(f"the request of {call.member} is not a JSON object (TR-04)")
    return violations
