"""Requests against the protocol, where no recording of the runtime shows them."""

from __future__ import annotations

from linuxbroker import BrokerClient
from linuxbroker.wire.models import AuthorizationType
from linuxbroker_fake import RunningFake


def test_the_ways_to_ask_for_a_token_have_the_numbers_of_the_wire() -> None:
    assert [kind.value for kind in AuthorizationType] == list(range(14))
    assert [AuthorizationType.CACHED_REFRESH_TOKEN, AuthorizationType.USERNAME_PASSWORD] == [1, 3]
    assert [AuthorizationType.INTERACTIVE, AuthorizationType.PRT_SSO_COOKIE] == [6, 8]


async def test_a_cookie_is_asked_for_without_enrolment(fake_broker: RunningFake) -> None:
    async with BrokerClient("00000000-0000-0000-0000-0000000000c1") as client:
        (account, *_) = await client.get_accounts()
        await client.acquire_prt_sso_cookie(account)
    (call,) = fake_broker.calls_of("acquirePrtSsoCookie")
    assert call.request["mamEnrollment"] is False
    assert call.request["authParameters"]["authorizationType"] == 8
