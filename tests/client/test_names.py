"""User names that differ in case or in letters that merely look alike, and the user that each means."""

from __future__ import annotations

import json
import uuid

import pytest

from linuxbroker import Account, BrokerClient, MismatchedTokenError
from linuxbroker.tokens.accounts import folded, named, pick_account
from linuxbroker.tokens.matching import names_other_account, other_account, other_tenant
from linuxbroker.wire.models import AuthorizationType, AuthParameters, BrokerTokenResponse
from linuxbroker_fake import RunningFake
from tests.client.test_whose_token import ADA, HOME, id_token, reply
from tests.constants import CLIENT_ID, SCOPES

SAME = [
    ("ada@contoso.example", "ADA@Contoso.EXAMPLE"),
    ("j\u00fcrgen@x.example", "J\u00dcRGEN@x.example"),
    ("\u03c3\u03b1@x.example", "\u03a3\u0391@x.example"),  # Greek
    ("\u0438\u0432\u0430\u043d@x.example", "\u0418\u0412\u0410\u041d@x.example"),  # Cyrillic
    ("stra\u00dfe@x.example", "STRA\u00dfE@x.example"),
    ("\U00010428@x.example", "\U00010400@x.example"),  # Deseret
]
DIFFERENT = {
    "sharp s": ("stra\u00dfe@x.example", "strasse@x.example"),
    "capital sharp s": ("stra\u1e9ee@x.example", "strasse@x.example"),
    "Kelvin sign": ("\u212aate@x.example", "kate@x.example"),
    "Kelvin sign and a capital": ("\u212aate@x.example", "Kate@x.example"),
    "Angstrom sign": ("\u212bsa@x.example", "\u00e5sa@x.example"),
    "long s": ("\u017fam@x.example", "sam@x.example"),
    "ligature": ("\ufb00@x.example", "ff@x.example"),
    "dotless i": ("\u0131da@x.example", "ida@x.example"),
    "dotted capital I": ("\u0130da@x.example", "i\u0307da@x.example"),
    "final sigma": ("\u03c2@x.example", "\u03c3@x.example"),
    "n with an apostrophe": ("\u0149@x.example", "\u02bcn@x.example"),
    "micro sign": ("\u00b5@x.example", "\u03bc@x.example"),
    "full width": ("\uff41@x.example", "a@x.example"),
    "accent for itself": ("u\u0308@x.example", "\u00fc@x.example"),
    "a blank": ("ada@x.example ", "ada@x.example"),
}


def record(username: str, user: str = "1", realm: str = HOME) -> Account:
    return Account(home_account_id=f"{user}.{HOME}", username=username, realm=realm)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_letters_of_one_name_can_be_small_or_capital(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    assert pick_account([record("somebody@x.example", "2"), record(one)], other) == record(one)
    assert pick_account([record("somebody@x.example", "2"), record(other)], one) == record(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_letters_that_merely_look_alike_make_another_name(one: str, other: str) -> None:
    assert folded(one) != folded(other)
    for listed, wanted in ((one, other), (other, one), (one.upper(), other), (other.upper(), one)):
        if folded(listed) != folded(wanted):
            assert pick_account([record(listed)], wanted) is None
    assert pick_account([record(one)], one) == record(one)


def test_a_name_is_folded_letter_by_letter() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x11000), *range(0x1E900, 0x1E950)):
        letter = chr(code)
        assert len(folded(letter)) == 1
        assert folded(letter) == letter or folded(letter).upper() == letter
        assert folded(letter).isascii() == letter.isascii()


def test_the_exact_spelling_wins() -> None:
    small, capital = record("ada@x.example", "1"), record("Ada@x.example", "2")
    for accounts in ([small, capital], [capital, small]):
        assert pick_account(accounts, "ada@x.example") == small
        assert pick_account(accounts, "Ada@x.example") == capital
        assert named(accounts, "ADA@x.example") == accounts
        assert named(accounts, "nobody@x.example") == []


def test_the_exact_spelling_wins_in_every_tenant_of_its_user() -> None:
    at_home, as_guest = record("ada@x.example", "1"), record("ADA@x.example", "1", "other.example")
    somebody_else = record("Ada@x.example", "2", "other.example")
    accounts = [somebody_else, as_guest, at_home]
    assert pick_account(accounts, "ada@x.example") == at_home
    assert pick_account(accounts, "ada@x.example", "other.example") == as_guest
    assert pick_account(accounts, "Ada@x.example", "other.example") == somebody_else
    assert pick_account([somebody_else, at_home], "ada@x.example", "other.example") is None


@pytest.mark.parametrize(("one", "other"), [*DIFFERENT.values(), *(pair[::-1] for pair in DIFFERENT.values())])
def test_a_token_of_a_name_that_looks_alike_is_another_users(one: str, other: str) -> None:
    asked = AuthParameters(
        authorization_type=AuthorizationType.CACHED_REFRESH_TOKEN,
        client_id=CLIENT_ID,
        redirect_uri="x",
        authority="https://login.microsoftonline.com/common",
        requested_scopes=tuple(SCOPES),
        username=one,
    )
    assert other_account(BrokerTokenResponse(), asked, {"preferred_username": other}) == other
    assert other_account(BrokerTokenResponse(), asked, {"preferred_username": one.replace("x.ex", "X.EX")}) is None
    tenant = asked.model_copy(
        update={
            "account": ADA.model_copy(update={"username": f"ada@{one}"}),
            "authority": f"https://login.microsoftonline.com/{other}",
        }
    )
    assert other_tenant(BrokerTokenResponse(), tenant, {"tid": ADA.home_account_id.partition(".")[0]}) is None
    assert names_other_account(record("x", one), record("x", other))


async def test_a_hint_means_the_user_whose_name_is_spelled_so(fake_broker: RunningFake) -> None:
    accounts = [ADA.model_copy(update={"username": "ADA@contoso.example", "home_account_id": f"other.{HOME}"}), ADA]
    listed = json.dumps({"accounts": [account.model_dump(by_alias=True) for account in accounts]})
    fake_broker.plant("raw_reply", method="getAccounts", reply=listed)
    async with BrokerClient(CLIENT_ID) as client:
        assert await client.get_account(ADA.username) == ADA.in_environment("")
        assert await client._only_user(ADA.username, client.authority, str(uuid.uuid4())) == ADA


async def test_a_password_of_one_user_gets_no_token_of_another_whose_name_looks_alike(
    fake_broker: RunningFake,
) -> None:
    fake_broker.plant("raw_reply", reply=reply(idToken=id_token(preferred_username="kate@contoso.example")))
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_by_username_password("Kate@contoso.example", "x", SCOPES)
        with pytest.raises(MismatchedTokenError):
            await client.acquire_token_by_username_password("\u212aate@contoso.example", "x", SCOPES)
