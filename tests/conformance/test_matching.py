"""Comparison of requests and outcomes under the rules of CONFORMANCE.md."""

from __future__ import annotations

from typing import Any

import pytest

from linuxbroker_fake.conformance.matching import Difference, outcome_differences, request_differences

SKU = {"x-client-xtra-sku": "|,|1,|,|,|1"}
EXTRA = "additionalQueryParametersForAuthorization"


@pytest.mark.parametrize(
    ("expected", "sent"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"account": None}, {}),
        ({}, {"account": None, "popParams": None, "decodedClaims": "", "isTestMode": False, "uxContextHandle": -1}),
        ({"decodedClaims": ""}, {}),
        ({}, {"onboardingBlob": "anything"}),
        ({}, {EXTRA: {}}),
        ({}, {EXTRA: SKU}),
        ({EXTRA: {"hsu": "1"}}, {EXTRA: {"hsu": "1", **SKU, "msal_client_ver": "2"}}),
        ({"account": {"environment": "login.windows.net"}}, {"account": {"environment": "login.microsoftonline.com"}}),
        (
            {"account": {"name": "A"}},
            {"account": {"name": "A", "middleName": "", "familyName": "", "passwordExpiry": 0}},
        ),
        ({}, {"parentWindow": {"handle": 0}, "parentWindowHandle": 0}),
        ({"a": {"$pattern": "[0-9]+"}}, {"a": "12"}),
        ({"a": {"$oneOf": [1, {"b": 2}]}}, {"a": {"b": 2}}),
        ({"a": {"$json": {"b": [1], "c": None}}}, {"a": '{ "c":null, "b":[1] }'}),
    ],
)
def test_equivalent_requests_have_no_differences(expected: Any, sent: Any) -> None:
    assert request_differences(expected, sent) == []


@pytest.mark.parametrize(
    ("expected", "sent", "place"),
    [
        ({"a": 1}, {}, "a"),
        ({"a": {"$json": {"b": 1}}}, {"a": '{"b": 2}'}, "a"),
        ({"a": {"$json": {"b": 1}}}, {"a": "{"}, "a"),
        ({"a": {"$json": {"b": 1}}}, {"a": {"b": 1}}, "a"),
        ({}, {"fictionalKey": ""}, "fictionalKey"),
        ({}, {"isSignIn": False}, "isSignIn"),
        ({"isSignIn": True}, {}, "isSignIn"),
        ({"account": None}, {"account": {"username": ""}}, "account"),
        ({"account": {"username": "u"}}, {"account": None}, "account"),
        ({"decodedClaims": "{}"}, {}, "decodedClaims"),
        ({}, {"decodedClaims": None}, "decodedClaims"),
        ({}, {"passwordExpiry": False}, "passwordExpiry"),
        ({"passwordExpiry": 7}, {"passwordExpiry": 7.0}, "passwordExpiry"),
        ({"passwordExpiry": 7}, {}, "passwordExpiry"),
        ({}, {"uxContextHandle": 0}, "uxContextHandle"),
        ({}, {"isTestMode": 0}, "isTestMode"),
        ({}, {"parentWindow": {"handle": 1}}, "parentWindow"),
        ({}, {"onboardingBlob": {}}, "onboardingBlob"),
        ({}, {EXTRA: {"hsu": "1"}}, EXTRA),
        ({EXTRA: {"hsu": "1"}}, {EXTRA: SKU}, f"{EXTRA}.hsu"),
        ({"account": {"environment": "login.windows.net"}}, {"account": {"environment": "x"}}, "account.environment"),
        ({"requestedScopes": ["a", "b"]}, {"requestedScopes": ["b", "a"]}, "requestedScopes[0]"),
        ({"requestedScopes": ["a"]}, {"requestedScopes": ["a", "b"]}, "requestedScopes[1]"),
        ({"requestedScopes": ["a"]}, {"requestedScopes": "a"}, "requestedScopes"),
        ({"authorizationType": 1}, {"authorizationType": True}, "authorizationType"),
        ({"authorizationType": 1}, {"authorizationType": "1"}, "authorizationType"),
        ({"a": {"$pattern": "[0-9]+"}}, {"a": "12b"}, "a"),
        ({"a": {"$pattern": ".+"}}, {"a": 12}, "a"),
        ({"a": {"$oneOf": [1, 2]}}, {"a": 3}, "a"),
        ({"a": 1}, None, ""),
    ],
)
def test_different_requests_have_a_difference_at_the_right_place(expected: Any, sent: Any, place: str) -> None:
    assert request_differences(expected, sent)[0].place == place


def test_an_outcome_may_have_extra_keys_and_omit_null_keys() -> None:
    expected = {"token": {"account": None, "scopes": ["a"]}}
    assert outcome_differences(expected, {"token": {"scopes": ["a"], "extra": 1}, "more": 2}) == []
    assert outcome_differences(expected, {"token": {"scopes": ["a"], "account": {}}}) == [
        Difference("token.account", None, {})
    ]
    assert outcome_differences(expected, {"token": {"account": None}}) == [
        Difference("token.scopes", ["a"], "(absent)")
    ]


def test_a_key_whose_choices_include_null_may_be_missing() -> None:
    expected = {"a": {"$oneOf": [None, {"$pattern": "x+"}]}}
    assert outcome_differences(expected, {}) == outcome_differences(expected, {"a": "xx"}) == []
    assert outcome_differences(expected, {"a": "y"})[0].place == "a"


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [("integer", 1, True), ("milliseconds", 10**12, 10**9), ("list", [], {}), ("object", {}, [])],
)
def test_the_type_matcher_accepts_only_its_type(kind: str, right: Any, wrong: Any) -> None:
    assert outcome_differences({"$type": kind}, right) == []
    assert outcome_differences({"$type": kind}, wrong)[0].got == wrong
