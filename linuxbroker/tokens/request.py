"""Token requests: an application's arguments, checked and as the frozen model that goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from linuxbroker._version import __version__
from linuxbroker.errors import InvalidArgumentError
from linuxbroker.redaction.secrets import hidden
from linuxbroker.tokens import validation
from linuxbroker.tokens.authority import authority_for_realm, is_commercial, sovereign_host, tenant_of
from linuxbroker.tokens.claims import merge_claims
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.wire import models

if TYPE_CHECKING:
    from linuxbroker.wire.models import Account, AuthorizationType, AuthParameters

# SKU|version,|runtime version,|,|,|MSAL C++ version (PROTOCOL.md, "authParameters")
_SKU = f"linuxbroker|{__version__},|,|,|,|"


@dataclass(frozen=True)
class TokenOptions:
    """The arguments of a token request besides scopes, unchecked. ``repr`` hides those that can be secret.

    Attributes:
        claims_challenge: a JSON object, as text.
        client_capabilities: override the client's; merged into the claims.
        auth_scheme: for a proof-of-possession token.
        access_token_to_renew: the token that the resource rejected.
        extra_query_parameters: for the request to Entra.
        onboarding_blob: the application's telemetry.
        password: the password of the user who signs in.
    """

    claims_challenge: str | None = field(default=None, repr=False)
    client_capabilities: Sequence[str] | None = None
    auth_scheme: PopAuthScheme | None = field(default=None, repr=False)
    access_token_to_renew: str | None = field(default=None, repr=False)
    extra_query_parameters: Mapping[str, str] | None = field(default=None, repr=False)
    onboarding_blob: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def token_request(
    kind: AuthorizationType,
    scopes: Sequence[str],
    options: TokenOptions,
    *,
    client_id: str,
    redirect_uri: str,
    client_capabilities: Sequence[str],
    authority: str,
) -> AuthParameters:
    """Check the arguments of a token request, and make the request.

    Args:
        kind: how the token is requested.
        scopes: the scopes to request.
        options: the other arguments.
        client_id, redirect_uri, client_capabilities: those of the client, checked.
        authority: the authority of the request, checked.

    Returns:
        The request, without a user; ``for_account`` and ``for_user`` add one.

    Raises:
        InvalidArgumentError: an argument is invalid.
    """
    query = validation.query_parameters(hidden(options.extra_query_parameters))
    scheme = options.auth_scheme
    pop_params = None if scheme is None else validation.instance("auth_scheme", scheme, PopAuthScheme).to_wire()
    if "req_cnf" in query or query.get("token_type") == "ssh-cert":
        # The runtime sends the key's ID here, and not the public key (PROTOCOL.md, "authParameters").
        pop_params = models.PopParams(kid=validation.ssh_key_id(query))
        query.pop("req_cnf", None)
    secrets: dict[str, Any] = {
        name: validation.text(name, value, empty=name == "access_token_to_renew")
        for name in ("access_token_to_renew", "onboarding_blob", "password")
        if (value := hidden(getattr(options, name))) is not None
    }
    return models.AuthParameters(
        authorization_type=kind,
        client_id=client_id,
        redirect_uri=redirect_uri,
        authority=authority,
        requested_scopes=tuple(validation.scopes(scopes)),
        decoded_claims=_claims(options, client_capabilities),
        pop_params=pop_params,
        additional_query_parameters_for_authorization={**query, "x-client-xtra-sku": _SKU},
        **secrets,
    )


def for_account(request: AuthParameters, account: Account, *, keep_authority: bool = False) -> AuthParameters:
    """Add an account to a request.

    Args:
        request: a request without a user.
        account: the account, from the broker's list.
        keep_authority: whether to keep the request's authority; default: ``common`` and ``organizations`` are replaced
            by the account's tenant.

    Returns:
        The request for that account. Source: PROTOCOL.md, SF-01, IF-01 and QP-05.

    Raises:
        InvalidArgumentError: the account is in another cloud than the authority.
    """
    sovereign = sovereign_host(account.environment)
    if sovereign and is_commercial(request.authority):
        raise InvalidArgumentError(
            "authority is invalid for this account, which is in another cloud: use "
            f"https://{sovereign}/{tenant_of(request.authority)}"
        )
    changes: dict[str, object] = {"account": account, "username": account.username}
    if not keep_authority:
        changes["authority"] = authority_for_realm(request.authority, account.realm)
    if request.authorization_type is models.AuthorizationType.INTERACTIVE:
        query = request.additional_query_parameters_for_authorization
        changes["additional_query_parameters_for_authorization"] = {**query, "hsu": "1"}
    return request.model_copy(update=changes)


def for_user(request: AuthParameters, username: str) -> AuthParameters:
    """Make a request a sign-in, without an account.

    Args:
        request: a request without a user.
        username: the UPN, or the empty string for any user.

    Returns:
        The request. Source: PROTOCOL.md, AP-09.
    """
    return request.model_copy(update={"account": None, "username": username, "is_sign_in": True})


def _claims(options: TokenOptions, client_capabilities: Sequence[str]) -> str:
    """The claims of a request. A challenge alone is not copied: ten thousand requests may wait with it."""
    if options.client_capabilities is not None:
        client_capabilities = validation.client_capabilities(options.client_capabilities)
    if not client_capabilities:
        return validation.claims_challenge(options.claims_challenge)
    return merge_claims(hidden(options.claims_challenge), capabilities=client_capabilities)
