"""Which scopes a token lacks, whatever the spelling of those that it has."""

from __future__ import annotations

from collections.abc import Sequence

# Entra's OpenID Connect scopes, which come with every sign-in and are never named as granted.
RESERVED_SCOPES = frozenset({"openid", "profile", "offline_access"})
_NEVER_DECLINED = RESERVED_SCOPES | {"email"}
# Microsoft Graph in each cloud, and its application id: its scopes are asked for, and granted, with or without one.
_GRAPH = (
    "https://graph.microsoft.com/",
    "https://graph.microsoft.us/",
    "https://dod-graph.microsoft.us/",
    "https://microsoftgraph.chinacloudapi.cn/",
    "00000003-0000-0000-c000-000000000000/",
)


def declined_scopes(requested: Sequence[str], granted: Sequence[str]) -> list[str]:
    """Find the scopes that were asked for and not granted.

    Args:
        requested: the scopes of the request.
        granted: the scopes of the reply.

    Returns:
        Those missing. Letters' case and Graph's host make no difference; ``…/.default`` stands for whatever is granted.
        Source: PROTOCOL.md, "Scopes".
    """
    present = {_bare(scope) for scope in granted}
    return [scope for scope in requested if not _is_default(scope) and _bare(scope) not in present | _NEVER_DECLINED]


def _bare(scope: str) -> str:
    folded = scope.casefold()
    return next((folded.removeprefix(host) for host in _GRAPH if folded.startswith(host)), folded)


def _is_default(scope: str) -> bool:
    return scope.casefold().rpartition("/")[2] == ".default"
