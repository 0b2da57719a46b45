"""Comparison of the requested scopes with the granted ones."""

from __future__ import annotations

from collections.abc import Sequence

# Entra's OpenID Connect scopes, which are part of every sign-in and never listed as granted.
RESERVED_SCOPES = frozenset({"openid", "profile", "offline_access"})
_NEVER_DECLINED = RESERVED_SCOPES | {"email"}
# Microsoft Graph in each cloud, and its application ID: optional prefixes of its scopes, in requests and replies.
_GRAPH_PREFIXES = (
    "https://graph.microsoft.com/",
    "https://graph.microsoft.us/",
    "https://dod-graph.microsoft.us/",
    "https://microsoftgraph.chinacloudapi.cn/",
    "00000003-0000-0000-c000-000000000000/",
)


def declined_scopes(requested: Sequence[str], granted: Sequence[str]) -> list[str]:
    """Find the requested scopes that were not granted.

    Args:
        requested: the scopes of the request.
        granted: the scopes of the reply.

    Returns:
        The missing scopes. Case and Graph's host are ignored, and ``…/.default`` is never missing.
        Source: PROTOCOL.md, "Scopes".
    """
    present = {_normalize(scope) for scope in granted} | _NEVER_DECLINED
    return [scope for scope in requested if not _is_default(scope) and _normalize(scope) not in present]


def _normalize(scope: str) -> str:
    folded = scope.casefold()
    return next((folded.removeprefix(prefix) for prefix in _GRAPH_PREFIXES if folded.startswith(prefix)), folded)


def _is_default(scope: str) -> bool:
    return scope.casefold().rpartition("/")[2] == ".default"
