"""The fake broker itself, without the bus: a persona over a fake Entra, with faults that can be planted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from linuxbroker_fake.config import FakeConfig
from linuxbroker_fake.entra import Entra, EntraError
from linuxbroker_fake.failures import FailedCall
from linuxbroker_fake.faults import (
    FAILED,
    BrokerFailure,
    CrashRequested,
    DBusFailure,
    Failure,
    Fault,
    FaultKind,
    FaultPlan,
    RawReply,
)
from linuxbroker_fake.interaction import Screen
from linuxbroker_fake.issuing import TokenIssuer
from linuxbroker_fake.journal import Journal
from linuxbroker_fake.methods import BrokerCall, Desk
from linuxbroker_fake.personas import PERSONAS
from linuxbroker_fake.replies import ReplyWriter, with_scopes_declined, without_tenants
from linuxbroker_fake.requests import Json, account_in, child, lenient, resource_asked
from linuxbroker_fake.resource import check_not_revoked, claims_challenge
from linuxbroker_fake.sessions import Sessions

# Himmelblau reads from its daemon in blocks of this many bytes.
_BLOCK = 1024
_WRONG_REQUESTS = frozenset({"invalid_request", "unauthorized_client"})


class FakeBroker:
    """A broker over a fake Entra, to be put on a bus with ``serve``.

    Args:
        config: how it is set up.
        clock: gives the time in epoch seconds.
    """

    def __init__(self, config: FakeConfig | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.config = config or FakeConfig()
        self.persona = PERSONAS[self.config.persona]
        self.directory = self.config.directory
        self.entra = Entra(self.directory, clock)
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Return to the state at the start: faults, sessions, journal and the person; the keys stay."""
        self.faults = FaultPlan(self.config.faults)
        self.sessions = Sessions(self.directory, self.config.signed_in, self._clock)
        self.screen = Screen(self.config.user)
        self.journal = Journal()
        self._methods = self.persona.rules.methods(
            Desk(
                self.directory,
                self.entra,
                self.sessions,
                TokenIssuer(self.entra, self.sessions),
                self.screen,
                self.faults,
                ReplyWriter(self.persona, self.directory, self._clock),
            )
        )
        self._turn = asyncio.Lock()

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Wait until the broker takes the next call, and keep it from taking others; most brokers take all at once."""
        return self._turn if self.persona.bus.one_call_at_a_time else contextlib.nullcontext()

    def plant(self, kind: FaultKind | str, **details: Any) -> None:
        """Make something go wrong.

        Args:
            kind: what; a ``FaultKind`` or its value.
            details: the other fields of ``Fault``: which calls, how often, what exactly.

        Raises:
            ValueError: there is no such fault, or a detail is invalid.
        """
        self.faults.plant(Fault(kind=FaultKind(kind), **details))

    def revoke(self, upn: str, *, sign_in_again: bool = False) -> str:
        """Revoke a user's tokens so far, as continuous access evaluation does.

        Args:
            upn: the user.
            sign_in_again: whether a new token takes an interactive sign-in.

        Returns:
            The claims challenge that a resource gives a client that has declared ``cp1``, JSON text.
        """
        return claims_challenge(self.sessions.revoke(upn, sign_in_again=sign_in_again))

    def verify_access_token(self, token: str) -> dict[str, Any]:
        """Check an access token as a resource does.

        Args:
            token: the token.

        Returns:
            Its claims.

        Raises:
            RevokedTokenError: it was revoked; says whether the client is to meet a claims challenge. A ``ValueError``.
            ValueError: it is not valid, or has expired.
        """
        claims = self.entra.verify_access_token(token)
        upn = str(claims.get("upn") or claims.get("preferred_username") or "")
        check_not_revoked(claims, self.sessions.revoked_before(upn))
        return claims

    async def handle(self, member: str, correlation_id: str, request_text: str, *, sender: str = "") -> str:
        """Answer a call of the broker's interface.

        Args:
            member: the method.
            correlation_id: the call's second argument.
            request_text: its third.
            sender: the caller's unique bus name.

        Returns:
            The reply, JSON text, or the empty text of a broker that gives no reason for a failure.

        Raises:
            DBusFailure: the answer is a D-Bus error.
            RawReply: a planted fault answers with something of its own.
            CrashRequested: a planted fault kills the broker.
        """
        request = lenient(request_text)
        try:
            fault = await self.strike(member, self._account_named(request), resource_asked(request))
            reply = await self._methods.answer(BrokerCall(member, correlation_id, request_text, sender, fault))
        except EntraError as error:
            failure = _failure_of(error)
        except BrokerFailure as error:
            failure = error.failure
        else:
            return await self._delivered(reply, fault)
        client_id = str(child(request, "authParameters").get("clientId") or request.get("clientId") or "")
        if self.persona.bus.fails_after_a_pause:
            await asyncio.sleep(self.config.empty_reply_pause)
        return self.persona.failures.reply(FailedCall(member, correlation_id, client_id), failure)

    async def strike(self, member: str, account: str | None, resource: str | None = None) -> Fault | None:
        """Let the fault that is planted for a call do its work.

        Args:
            member: the method that is called.
            account: the UPN that the call is about, if any.
            resource: the resource that it asks a token for, if any.

        Returns:
            The fault that struck and leaves the call to be answered, or None.

        Raises:
            BrokerFailure: the answer is a failure.
            DBusFailure: the answer is a D-Bus error.
            RawReply: the answer is one of its own.
            CrashRequested: the broker dies.
        """
        fault = self.faults.strike(member, account, resource)
        if fault is None:
            return None
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if failure := fault.failure():
            raise BrokerFailure(failure)
        if fault.kind is FaultKind.HANG:
            await _for_ever()
        elif fault.kind is FaultKind.CRASH:
            raise CrashRequested
        elif fault.kind is FaultKind.STARTING:
            raise DBusFailure(FAILED, self.persona.bus.starting)
        elif fault.kind is FaultKind.OBJECT_MISSING:
            raise DBusFailure(fault.name or self.persona.bus.unknown_object, "There is no such object yet.")
        elif fault.kind is FaultKind.DBUS_ERROR:
            raise DBusFailure(fault.name or FAILED, fault.context)
        elif fault.kind is FaultKind.RAW_REPLY:
            raise RawReply("s", fault.reply)
        elif fault.kind is FaultKind.REPLY_NOT_TEXT:
            raise RawReply("u", 42)
        return fault

    async def _delivered(self, reply: dict[str, Any], fault: Fault | None) -> str:
        """The text of a reply, after the fault that changes replies, if one struck."""
        kind = None if fault is None else fault.kind
        if fault is not None and kind is FaultKind.SCOPES_DECLINED:
            reply = with_scopes_declined(reply, fault.scopes)
        elif kind is FaultKind.TENANT_UNKNOWN:
            reply = without_tenants(reply)
        text = json.dumps(reply)
        if kind is FaultKind.FULL_BLOCK:
            text += " " * (-len(text) % _BLOCK)
            if self.persona.bus.loses_full_blocks:
                await _for_ever()
        return text

    def _account_named(self, request: Json) -> str | None:
        """The UPN that a call is about, for matching faults."""
        if username := account_in(request).get("username"):
            return str(username)
        if home_account_id := child(request, "popParams").get("homeAccountId"):
            found = self.directory.find_account(str(home_account_id))
            return found.username if found else None
        return str(child(request, "authParameters").get("username") or "") or None


def _failure_of(error: EntraError) -> Failure:
    return Failure(
        error.description,
        status=9 if error.oauth_error in _WRONG_REQUESTS else 2,
        sub_error=error.suberror,
        oauth_error=error.oauth_error,
        from_entra=True,
    )


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
