"""Checks of the trust options that an application gives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from posixpath import normpath
from typing import cast

from linuxbroker.call.trust.policy import TRUST_POLICIES, TrustOptions, TrustPolicy
from linuxbroker.errors import InvalidArgumentError
from linuxbroker.tokens import validation


def trust_policy(value: object) -> TrustPolicy:
    """Check a trust policy.

    Raises:
        InvalidArgumentError: it is not one of the three.
    """
    for policy in TRUST_POLICIES:
        if value == policy:
            return policy
    raise InvalidArgumentError(f"trust must be one of {', '.join(TRUST_POLICIES)}")


def trusted_programs(value: object) -> tuple[str, ...]:
    """Check a list of programs.

    Raises:
        InvalidArgumentError: not a sequence, or not each an absolute path in its plain form.
    """
    if isinstance(value, (str, bytes, os.PathLike)) or not isinstance(value, Sequence):
        raise InvalidArgumentError("trusted_programs must be a list of paths")
    return tuple(_plain_path(item) for item in cast("Sequence[object]", value))


def trust_options(policy: object, programs: object, allow_bus_of_other_user: object) -> TrustOptions:
    """Check whom a client is told to trust.

    Raises:
        InvalidArgumentError: one of the three can't be right.
    """
    return TrustOptions(
        trust_policy(policy),
        trusted_programs(programs),
        validation.instance("allow_bus_of_other_user", allow_bus_of_other_user, bool),
    )


def _plain_path(value: object) -> str:
    path: object = os.fspath(cast("str", value)) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise InvalidArgumentError("trusted_programs must be a list of paths, each a str or a Path")
    if not path.startswith("/") or path.startswith("//") or path == "/" or "\0" in path or normpath(path) != path:
        raise InvalidArgumentError(
            f"trusted_programs is invalid: {path!r} is not an absolute path without '.', '..', '//' and a last '/'"
        )
    return path
