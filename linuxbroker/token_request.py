"""What goes into a token request, whatever the way the token is got? Checked arguments, under the wire's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from linuxbroker import models, validation
from linuxbroker._version import __version__
from linuxbroker.claims import merge_claims
from linuxbroker.pop import PopAuthScheme
from linuxbroker.redaction import Concealed, HiddenFields, hidden

if TYPE_CHECKING:
    from linuxbroker.models import AuthorizationType

# SKU|version,|runtime version,|,|,|MSAL C++ version (PROTOCOL.md, "authParameters")
_SKU = f"linuxbroker|{__version__},|,|,|,|"

_NO_CLAIMS: Concealed[str | None] = Concealed(None)


def token_parameters(
    kind: AuthorizationType,
    scopes: Sequence[str],
    *,
    client_id: str,
    redirect_uri: str,
    claims_challenge: Concealed[str | None] = _NO_CLAIMS,
    client_capabilities: Sequence[str] = (),
    auth_scheme: PopAuthScheme | None = None,
    access_token_to_renew: str | None = None,
    extra_query_parameters: Mapping[str, str] | None = None,
) -> HiddenFields:
    """Check the arguments of a token request, and name them as ``AuthParameters`` does.

    Args:
        kind: the way the token is got.
        scopes: what the token is for.
        client_id: the application's.
        redirect_uri: the application's.
        claims_challenge: the text of a JSON object.
        client_capabilities: the application's, checked; they go into the claims beside the challenge's own.
        auth_scheme: for a proof-of-possession token.
        access_token_to_renew: the token that the resource refused.
        extra_query_parameters: for the request to Entra.

    Returns:
        All fields but those that say who signs in, where and how.

    Raises:
        InvalidArgumentError: an argument can't be right.
    """
    query = validation.query_parameters(extra_query_parameters)
    renew = "" if access_token_to_renew is None else access_token_to_renew
    scheme = None if auth_scheme is None else validation.instance("auth_scheme", auth_scheme, PopAuthScheme)
    pop_params = scheme.to_wire() if scheme else None
    if "req_cnf" in query or query.get("token_type") == "ssh-cert":
        # The runtime names the key here and keeps the public key to itself (PROTOCOL.md, "authParameters").
        pop_params = models.PopParams(kid=validation.ssh_key_id(query))
        query.pop("req_cnf", None)
    return HiddenFields(
        authorization_type=kind,
        client_id=client_id,
        redirect_uri=redirect_uri,
        requested_scopes=validation.scopes(scopes),
        decoded_claims=_claims(claims_challenge, client_capabilities),
        access_token_to_renew=validation.text("access_token_to_renew", renew, empty=True),
        pop_params=pop_params,
        additional_query_parameters_for_authorization={**query, "x-client-xtra-sku": _SKU},
    )


def _claims(challenge: Concealed[str | None], capabilities: Sequence[str]) -> str:
    """The claims of a request. A challenge alone goes as it is, without a copy: ten thousand may wait with it."""
    if not capabilities:
        return validation.claims_challenge(challenge.value)
    return merge_claims(hidden(challenge.value), capabilities=capabilities)
