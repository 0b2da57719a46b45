"""The fake broker without its bus: a persona, the fake Entra and planted faults."""

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
from linuxbroker_fake.methods import Backend, BrokerCall
from linuxbroker_fake.personas import PERSONAS
from linuxbroker_fake.replies import ReplyWriter, without_scopes, without_tenants
from linuxbroker_fake.requests import Json, account_of, child, parse_leniently, requested_resource
from linuxbroker_fake.resource import check_not_revoked, claims_challenge
from linuxbroker_fake.sessions import Sessions
from linuxbroker_fake.signing_key import Keys

# Himmelblau reads from its daemon in blocks of this many bytes.
_BLOCK_BYTES = 1024
_CONFIGURATION_ERRORS = frozenset({"invalid_request", "unauthorized_client"})


class FakeBroker:
    """A broker with a fake Entra; ``serve`` puts it on a bus.

    Args:
        config: the configuration; default ``FakeConfig()``.
        clock: returns the time in epoch seconds.
        keys: the keys of its Entra and its device; default new ones.
    """

    def __init__(
        self,
        config: FakeConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
        keys: Keys | None = None,
    ) -> None:
        self.config = config or FakeConfig()
        self.persona = PERSONAS[self.config.persona]
        self.directory = self.config.directory
        self.entra = Entra(self.directory, clock, keys=keys)
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Restore the initial faults, sessions, user and empty journal; the signing keys stay."""
        self.faults = FaultPlan(self.config.faults)
        self.sessions = Sessions(self.directory, self.config.signed_in, self._clock)
        self.screen = Screen(self.config.user)
        self.journal = Journal()
        self._methods = self.persona.rules.methods(
            Backend(
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
        """Return a lock for brokers that handle one call at a time (HB-16), else a context that does not wait."""
        return self._turn if self.persona.bus.one_call_at_a_time else contextlib.nullcontext()

    def plant(self, kind: FaultKind | str, **details: Any) -> None:
        """Plant a fault.

        Args:
            kind: a ``FaultKind`` or its value.
            details: the other fields of ``Fault``.

        Raises:
            ValueError: the kind is unknown, or a field is invalid.
        """
        self.faults.plant(Fault(kind=FaultKind(kind), **details))

    def revoke(self, upn: str, *, sign_in_again: bool = False) -> str:
        """Revoke the tokens that a user has now, as continuous access evaluation does.

        Args:
            upn: the user.
            sign_in_again: whether a new token requires an interactive sign-in.

        Returns:
            The claims challenge, JSON text, that a resource sends to a client with the capability ``cp1``.
        """
        return claims_challenge(self.sessions.revoke(upn, sign_in_again=sign_in_again))

    def verify_access_token(self, token: str) -> dict[str, Any]:
        """Check an access token as a resource does.

        Args:
            token: the token.

        Returns:
            The claims of the token.

        Raises:
            RevokedTokenError: the token was revoked; has the claims challenge, if any. A ``ValueError``.
            ValueError: the token is invalid or has expired.
        """
        claims = self.entra.verify_access_token(token)
        upn = str(claims.get("upn") or claims.get("preferred_username") or "")
        check_not_revoked(claims, self.sessions.revoked_before(upn))
        return claims

    async def handle(self, member: str, correlation_id: str, request_text: str, *, sender: str = "") -> str:
        """Answer a call to the broker's interface.

        Args:
            member: the method.
            correlation_id: the second argument of the call.
            request_text: the third argument, JSON text.
            sender: the caller's unique bus name.

        Returns:
            The reply: JSON text, or ``""`` for a failure of Himmelblau 3.1.

        Raises:
            DBusFailure: the reply is a D-Bus error.
            RawReply: a planted fault replaces the reply.
            CrashRequested: the broker leaves the bus without a reply.
        """
        request = parse_leniently(request_text)
        try:
            fault = await self.apply_fault(member, self._account_name(request), requested_resource(request))
            reply = await self._methods.answer(BrokerCall(member, correlation_id, request_text, sender, fault))
        except EntraError as error:
            failure = _entra_failure(error)
        except BrokerFailure as error:
            failure = error.failure
        else:
            return await self._to_text(reply, fault)
        client_id = str(child(request, "authParameters").get("clientId") or request.get("clientId") or "")
        if self.persona.bus.pauses_before_failure:
            await asyncio.sleep(self.config.empty_reply_pause)
        return self.persona.failures.reply(FailedCall(member, correlation_id, client_id), failure)

    async def apply_fault(self, member: str, account: str | None, resource: str | None = None) -> Fault | None:
        """Apply the fault that is planted for a call, if any.

        Args:
            member: the method.
            account: the UPN that the call is about, if any.
            resource: the resource of the requested token, if any.

        Returns:
            The fault, if the broker still has to answer the call; else None.

        Raises:
            BrokerFailure: the reply is a failure.
            DBusFailure: the reply is a D-Bus error.
            RawReply: the fault replaces the reply.
            CrashRequested: the broker leaves the bus without a reply.
        """
        fault = self.faults.match(member, account, resource)
        if fault is None:
            return None
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if failure := fault.failure():
            raise BrokerFailure(failure)
        if fault.kind is FaultKind.HANG:
            await _wait_forever()
        elif fault.kind is FaultKind.CRASH:
            raise CrashRequested
        elif fault.kind is FaultKind.STARTING:
            raise DBusFailure(FAILED, self.persona.bus.starting)
        elif fault.kind is FaultKind.OBJECT_MISSING:
            raise DBusFailure(fault.name or self.persona.bus.unknown_object, "The object does not exist yet.")
        elif fault.kind is FaultKind.DBUS_ERROR:
            raise DBusFailure(fault.name or FAILED, fault.context)
        elif fault.kind is FaultKind.RAW_REPLY:
            raise RawReply("s", fault.reply)
        elif fault.kind is FaultKind.REPLY_NOT_TEXT:
            raise RawReply("u", 42)
        return fault

    async def _to_text(self, reply: dict[str, Any], fault: Fault | None) -> str:
        """Encode a reply, changed by the fault if the fault changes replies."""
        kind = None if fault is None else fault.kind
        if fault is not None and kind is FaultKind.SCOPES_DECLINED:
            reply = without_scopes(reply, fault.scopes)
        elif kind is FaultKind.TENANT_UNKNOWN:
            reply = without_tenants(reply)
        text = json.dumps(reply)
        if kind is FaultKind.FULL_BLOCK:
            text += " " * (-len(text) % _BLOCK_BYTES)
            if self.persona.bus.drops_full_blocks:
                await _wait_forever()
        return text

    def _account_name(self, request: Json) -> str | None:
        """Return the UPN that a call is about, for the selection of faults."""
        if username := account_of(request).get("username"):
            return str(username)
        if home_account_id := child(request, "popParams").get("homeAccountId"):
            found = self.directory.find_account(str(home_account_id))
            return found.username if found else None
        return str(child(request, "authParameters").get("username") or "") or None


def _entra_failure(error: EntraError) -> Failure:
    return Failure(
        error.description,
        status=9 if error.oauth_error in _CONFIGURATION_ERRORS else 2,
        sub_error=error.suberror,
        oauth_error=error.oauth_error,
        from_entra=True,
    )


async def _wait_forever() -> None:
    await asyncio.get_running_loop().create_future()
