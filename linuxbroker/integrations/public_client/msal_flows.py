"""The flows that MSAL carries out itself, as coroutines: no broker serves them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from linuxbroker.integrations.public_client.application_base import ApplicationBase
from linuxbroker.integrations.public_client.arguments import scope_list
from linuxbroker.redaction.secrets import Concealed, HiddenFields, hidden


class MsalFlows(ApplicationBase):
    """Device code, authorization code and refresh token: the methods that no broker serves."""

    async def initiate_device_flow(
        self, scopes: Sequence[str] | None = None, *, claims_challenge: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Start a sign-in on another device; no broker serves this flow.

        Args:
            scopes: the scopes to request.
            claims_challenge: the claims challenge of a resource, a JSON object as text.
            kwargs: MSAL's other arguments.

        Returns:
            MSAL's flow, with a ``message`` to show to the user, or a dict with ``error``.

        Raises:
            ValueError: an argument is invalid.
        """
        claims_challenge, kwargs = hidden(claims_challenge), HiddenFields(kwargs)
        return await self._call_msal(
            "initiate_device_flow",
            scope_list(scopes),
            claims_challenge=claims_challenge,
            **kwargs,
        )

    async def acquire_token_by_device_flow(
        self, flow: dict[str, Any], claims_challenge: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Wait for the sign-in on the other device. Canceling the task ends the polling.

        Args:
            flow: the flow from ``initiate_device_flow``.
            claims_challenge: the claims challenge of a resource, a JSON object as text.
            kwargs: MSAL's other arguments, such as ``exit_condition``.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``.
        """
        started, claims_challenge, kwargs = Concealed(flow), hidden(claims_challenge), HiddenFields(kwargs)
        del flow
        ended = threading.Event()
        exit_condition: Callable[[dict[str, Any]], bool] = kwargs.pop("exit_condition", _has_expired)

        def has_ended(current: dict[str, Any]) -> bool:
            concealed = Concealed(current)
            del current
            return ended.is_set() or exit_condition(concealed.value)

        try:
            return await self._call_msal(
                "acquire_token_by_device_flow",
                started.value,
                claims_challenge=claims_challenge,
                exit_condition=has_ended,
                **kwargs,
            )
        finally:
            ended.set()

    async def initiate_auth_code_flow(
        self,
        scopes: Sequence[str],
        redirect_uri: str | None = None,
        state: str | None = None,
        prompt: str | None = None,
        login_hint: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        max_age: int | None = None,
        response_mode: str | None = None,
    ) -> dict[str, Any]:
        """Start a sign-in with an authorization code; no broker serves this flow.

        Args:
            scopes, redirect_uri, state, prompt, login_hint, domain_hint, claims_challenge, max_age, response_mode: as
                in MSAL.

        Returns:
            MSAL's flow, with the ``auth_uri`` to send the user to.

        Raises:
            ValueError: an argument is invalid.
        """
        state, claims_challenge = hidden(state), hidden(claims_challenge)
        return await self._call_msal(
            "initiate_auth_code_flow",
            scope_list(scopes),
            redirect_uri=redirect_uri,
            state=state,
            prompt=prompt,
            login_hint=login_hint,
            domain_hint=domain_hint,
            claims_challenge=claims_challenge,
            max_age=max_age,
            response_mode=response_mode,
        )

    async def acquire_token_by_auth_code_flow(
        self,
        auth_code_flow: dict[str, Any],
        auth_response: Mapping[str, Any],
        scopes: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Redeem the authorization code of a finished sign-in.

        Args:
            auth_code_flow: the flow from ``initiate_auth_code_flow``.
            auth_response: the parameters of the redirect.
            scopes: a subset of the flow's scopes.
            kwargs: MSAL's other arguments.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``.

        Raises:
            ValueError: the response does not belong to the flow.
        """
        started, response, kwargs = Concealed(auth_code_flow), HiddenFields(auth_response), HiddenFields(kwargs)
        del auth_code_flow, auth_response
        return await self._call_msal(
            "acquire_token_by_auth_code_flow",
            started.value,
            dict(response),
            scope_list(scopes),
            **kwargs,
        )

    async def get_authorization_request_url(
        self,
        scopes: Sequence[str],
        login_hint: str | None = None,
        state: str | None = None,
        redirect_uri: str | None = None,
        response_type: str = "code",
        prompt: str | None = None,
        nonce: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Make the URL to send the user to; MSAL recommends ``initiate_auth_code_flow`` instead.

        Args:
            scopes, login_hint, state, redirect_uri, response_type, prompt, nonce, domain_hint, claims_challenge,
                kwargs: as in MSAL.

        Returns:
            The URL.

        Raises:
            ValueError: an argument is invalid.
        """
        state, nonce, claims_challenge = hidden(state), hidden(nonce), hidden(claims_challenge)
        kwargs = HiddenFields(kwargs)
        url: object = await self._call_msal(
            "get_authorization_request_url",
            scope_list(scopes),
            login_hint=login_hint,
            state=state,
            redirect_uri=redirect_uri,
            response_type=response_type,
            prompt=prompt,
            nonce=nonce,
            domain_hint=domain_hint,
            claims_challenge=claims_challenge,
            **kwargs,
        )
        return cast("str", url)

    async def acquire_token_by_authorization_code(
        self,
        code: str,
        scopes: Sequence[str],
        redirect_uri: str | None = None,
        nonce: str | None = None,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Redeem an authorization code; MSAL recommends ``acquire_token_by_auth_code_flow`` instead.

        Args:
            code: the code.
            scopes: the scopes to request.
            redirect_uri, nonce, claims_challenge, forwarded_client_claims, kwargs: as in MSAL.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``.

        Raises:
            ValueError: an argument is invalid.
        """
        code, nonce, claims_challenge = hidden(code), hidden(nonce), hidden(claims_challenge)
        forwarded_client_claims, kwargs = hidden(forwarded_client_claims), HiddenFields(kwargs)
        return await self._call_msal(
            "acquire_token_by_authorization_code",
            code,
            scope_list(scopes),
            redirect_uri=redirect_uri,
            nonce=nonce,
            claims_challenge=claims_challenge,
            forwarded_client_claims=forwarded_client_claims,
            **kwargs,
        )

    async def acquire_token_by_refresh_token(
        self, refresh_token: str, scopes: Sequence[str], **kwargs: Any
    ) -> dict[str, Any]:
        """Redeem a refresh token from elsewhere; no broker serves this flow.

        Args:
            refresh_token: the token.
            scopes: the scopes to request.
            kwargs: MSAL's other arguments.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``.
        """
        refresh_token, kwargs = hidden(refresh_token), HiddenFields(kwargs)
        return await self._call_msal("acquire_token_by_refresh_token", refresh_token, scope_list(scopes), **kwargs)


def _has_expired(flow: Mapping[str, Any]) -> bool:
    expires_at = flow.get("expires_at", 0)
    del flow  # it contains a secret, which a traceback would show
    return float(expires_at) < time.time()
