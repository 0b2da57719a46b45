"""The personas: a data record for each broker (PROTOCOL.md, "Brokers in the field")."""

from __future__ import annotations

from .failures import BareErrors, Diagnostics, EmptyReplies, ErrorObjects
from .faults import Failure
from .himmelblau import HimmelblauRules
from .microsoft import MicrosoftRules
from .persona import AccountShape, BusBehavior, CookieShape, Introspection, Persona, TokenShape
from .persona_name import PersonaName

__all__ = ["PERSONAS", "PersonaName"]

_JAVA_CANCELED = Failure("User canceled the sign-in.", status=7)
_CANCELED = Failure("The InteractiveRequest was canceled by the user", status=7, tag=557155398)
# The text of the C++ brokers for a failure at Entra, in their spelling: without AADSTS code and description.
_ENTRA_TEXT = (
    "Recieved an error from AAD. Code: '{code}' description: '(pii)' correlation id: '{correlation_id}' "
    "suberror: '{suberror}'"
)
_TYPES_OF_2_0_2 = {
    "acquireTokenSilently": frozenset({1, 2, 3}),
    "acquireTokenInteractively": frozenset({6}),
    "acquirePrtSsoCookie": frozenset({8}),
}
_TYPES_OF_3_0 = {**_TYPES_OF_2_0_2, "acquireTokenInteractively": frozenset({1, 6})}
_TELEMETRY_OF_2_0_1 = {
    "broker_version": "2.0.1",
    "ui_visible": "false",
    "os_version": "22.04",
    "http_event_count": "1",
    "correlation_id": "$correlation_id",
}
_TELEMETRY_OF_2_5_2 = {
    "broker_version": "2.5.2",
    "auth_flow": "PRT",
    "aad_request_sequence": "1",
    "api_error_code": "0",
    "api_error_context": "(pii)",
    "api_name": "$method",
    "authority_type": "AAD",
    "broker_app_used": "true",
    "broker_broker_version": "2.5.2|2.5.2|2.5.2",
    "broker_correlation_id": "$correlation_id",
    "client_id": "$client_id",
    "correlation_id": "$correlation_id",
    "ef": "{}",
}
_HIMMELBLAU_ACCOUNT = AccountShape(missing=frozenset({"familyName", "clientInfo"}), full_name_as_given_name=True)
_HIMMELBLAU_COOKIE = CookieShape(
    AccountShape(
        missing=frozenset({"name", "givenName", "familyName", "clientInfo", "passwordExpiry"}),
        issuer_environment=True,
    )
)
_UNKNOWN_NAME = "Path, Interface, or Method does not exist"


def _himmelblau_bus(
    *paths: str, starting: str, pauses_before_failure: bool = False, drops_full_blocks: bool = False
) -> BusBehavior:
    return BusBehavior(
        introspection=Introspection.CROSSROADS,
        properties=False,
        paths=paths,
        unknown_interface=_UNKNOWN_NAME,
        unknown_method="Unknown method {method}",
        checks_arguments_by_position=True,
        requires_interface=True,
        starting=starting,
        pauses_before_failure=pauses_before_failure,
        one_call_at_a_time=True,
        drops_full_blocks=drops_full_blocks,
    )


PERSONAS: dict[PersonaName, Persona] = {
    PersonaName.MICROSOFT_2_0_1: Persona(
        version="2.0.1",
        rules=MicrosoftRules(canceled=_JAVA_CANCELED),
        bus=BusBehavior(Introspection.INTERFACE, unknown_object="org.freedesktop.dbus.errors.UnknownObject"),
        failures=ErrorObjects(
            entra_tag=0,
            diagnostics=Diagnostics.FILLED,
            zero_keys=("accessTokenType", "expiresOn", "extendedExpiresOn"),
            telemetry={**_TELEMETRY_OF_2_0_1, "error_location": "unknown"},
            cancel_key="Error",
        ),
        account=AccountShape(),
        token=TokenShape(),
        cookie=CookieShape(
            AccountShape(missing=frozenset({"familyName"})), telemetry={"dbus_method_name": "acquirePrtSsoCookie"}
        ),
        telemetry=_TELEMETRY_OF_2_0_1,
    ),
    PersonaName.MICROSOFT_2_5_2: Persona(
        version="2.5.2",
        rules=MicrosoftRules(canceled=_CANCELED, authorization_types=_TYPES_OF_2_0_2, sso_url_in_parameters=True),
        bus=BusBehavior(Introspection.EMPTY_NODE),
        failures=ErrorObjects(
            entra_tag=595719680,
            diagnostics=Diagnostics.NULL,
            entra_text=_ENTRA_TEXT,
            sub_error=True,
            telemetry={
                **_TELEMETRY_OF_2_5_2,
                "api_error_tag": "$tag",
                "api_status_code": "$status",
                "all_error_tags": "$tag",
                "auth_flow_last_error": "$status",
            },
        ),
        account=AccountShape(),
        token=TokenShape(),
        cookie=CookieShape(AccountShape(issuer_environment=True), listed=True, telemetry={}),
        telemetry={"broker_version": "2.5.2", "auth_flow": "PRT", "correlation_id": "$correlation_id"},
    ),
    PersonaName.MICROSOFT_3_0_2: Persona(
        version="3.0.2",
        rules=MicrosoftRules(
            canceled=_CANCELED,
            authorization_types=_TYPES_OF_3_0,
            sso_url_in_parameters=True,
            skips_window_after_refusal=True,
            crashes_on_empty_cancel=True,
        ),
        bus=BusBehavior(Introspection.EMPTY_NODE),
        failures=ErrorObjects(entra_tag=593819521, diagnostics=Diagnostics.ABSENT, entra_text=_ENTRA_TEXT),
        account=AccountShape(),
        token=TokenShape(account=False, extra_keys={"refreshToken": ""}),
        cookie=CookieShape(AccountShape(issuer_environment=True), listed=True, telemetry={}),
        telemetry={"broker_version": "3.0.2", "auth_flow": "PRT", "correlation_id": "$correlation_id"},
    ),
    PersonaName.HIMMELBLAU_3_1: Persona(
        version="3.1.12",
        rules=HimmelblauRules(),
        bus=_himmelblau_bus(
            starting="No such file or directory (os error 2)", pauses_before_failure=True, drops_full_blocks=True
        ),
        failures=EmptyReplies(),
        account=_HIMMELBLAU_ACCOUNT,
        token=TokenShape(account=False, lifetime_added_in_seconds=True, extended_expiry_in_seconds=True),
        cookie=_HIMMELBLAU_COOKIE,
    ),
    PersonaName.HIMMELBLAU_4_0: Persona(
        version="4.0.0",
        rules=HimmelblauRules(opens_dialog=True, checks_redirect_uri=True),
        bus=_himmelblau_bus(
            "/org/freedesktop/LogControl1",
            starting="broker socket connect: No such file or directory (os error 2)",
        ),
        failures=BareErrors(
            {
                "getAccounts": "Unable to find account",
                "acquireTokenSilently": "Failed to authenticate user",
                "acquireTokenInteractively": "Failed to authenticate user",
                "acquirePrtSsoCookie": "Failed to fetch prt sso cookie",
            }
        ),
        account=_HIMMELBLAU_ACCOUNT,
        token=TokenShape(account=False, extended_expiry_in_seconds=True),
        cookie=_HIMMELBLAU_COOKIE,
    ),
}
