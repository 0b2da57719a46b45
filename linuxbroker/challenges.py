"""The public names of ``linuxbroker.integrations.challenges``, under the path that applications import them from."""

from linuxbroker.integrations.challenges import Challenge, claims_in, nonce_in, parse_challenges

__all__ = ["Challenge", "claims_in", "nonce_in", "parse_challenges"]
