"""Calls of a runtime to the broker on this session bus: reads a scenario on stdin, prints the outcomes.

Run as a program, one process a scenario: ``pymsalruntime`` reads its environment when it is imported, and pings the
broker once, there and then. The scenario is a JSON object with ``client_id``, ``authority``, ``steps`` and ``runtime``,
the module to import: Microsoft's ``pymsalruntime``, or the replacement for it. A step names its ``call``, a function of
the module, and may have

- ``scopes`` (else Graph's ``.default``), ``redirect_uri`` (else the one for native clients), ``authority``,
  ``correlation_id``;
- ``claims``, ``access_token_to_renew``, ``additional_parameters`` (an object);
- ``pop``: an object with ``http_method``, ``uri_host``, ``uri_path``, ``nonce``;
- ``username`` and ``password``, for the username/password flow, which is a ``signin_silently`` with both;
- ``account``: the id of the account the call is for; without it, the (first) account of the last step that had one;
- ``account_hint`` and ``parent_window``, for the interactive calls;
- ``cancel_after``: seconds after which the call is cancelled;
- ``limit``: seconds after which the driver gives up on the call, 30 if not given.

The output is a JSON object: ``import_error`` when the runtime would not load, else ``outcomes``, one object a step.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"
GRAPH_DEFAULT = "https://graph.microsoft.com/.default"

# The runtime is compiled and untyped: whatever comes out of it is Any until it is in an outcome.
Json = dict[str, Any]


class Driver:
    """Carries out the steps of one scenario.

    Args:
        runtime: the module.
        scenario: as the docstring at the top has it.
    """

    def __init__(self, runtime: Any, scenario: Json) -> None:
        self._runtime = runtime
        self._client_id: str = scenario["client_id"]
        self._authority: str = scenario["authority"]
        self._steps: list[Json] = scenario["steps"]
        self._account_id = ""

    def run(self) -> list[Json]:
        """Carry out every step, in order.

        Returns:
            An outcome a step.
        """
        return [self._carry_out(step) for step in self._steps]

    def _carry_out(self, step: Json) -> Json:
        correlation_id: str = step.get("correlation_id") or str(uuid.uuid4())
        try:
            result = self._await(step, self._start(step, correlation_id))
        except TimeoutError:
            return {"timed_out": True, "correlation_id": correlation_id}
        except RuntimeError as error:  # refused before anything was sent
            return {"refused": str(error), "correlation_id": correlation_id}
        outcome = self._describe(result)
        accounts = [outcome.get("account"), *outcome.get("accounts", [])]
        self._account_id = next((account["account_id"] for account in accounts if account), self._account_id)
        return {"correlation_id": correlation_id, **outcome}

    def _start(self, step: Json, correlation_id: str) -> Callable[[Callable[[Any], None]], Any]:
        """Bind the arguments of a step's call, all but the callback, which is the last of every call of the runtime."""
        call, window = step["call"], step.get("parent_window", 1)
        function = getattr(self._runtime, call)
        arguments: list[Any]
        if call == "discover_accounts":
            arguments = [self._client_id, correlation_id]
        elif call == "read_account_by_id":
            arguments = [step.get("account") or self._account_id, correlation_id]
        elif call == "signin_silently":
            arguments = [self._parameters(step), correlation_id]
        elif call in ("signin", "signin_interactively"):
            arguments = [window, self._parameters(step), correlation_id, step.get("account_hint")]
        elif call == "acquire_token_silently":
            arguments = [self._parameters(step), correlation_id, self._account(step)]
        elif call == "acquire_token_interactively":
            arguments = [window, self._parameters(step), correlation_id, self._account(step)]
        elif call == "signout_silently":
            arguments = [self._client_id, correlation_id, self._account(step)]
        else:
            raise ValueError(f"no such call: {call}")
        return lambda callback: function(*arguments, callback)

    def _await(self, step: Json, start: Callable[[Callable[[Any], None]], Any]) -> Any:
        done = threading.Event()
        results: list[Any] = []

        def complete(result: Any) -> None:
            results.append(result)
            done.set()

        handle = start(complete)  # to be kept until the end: releasing it forgets the callback
        if "cancel_after" in step and not done.wait(step["cancel_after"]):
            # In a thread of its own, as it blocks: cancelInteractiveFlow goes over the runtime's one connection, and
            # the thread that waits for the interactive reply keeps that until the reply is there (0.20.7, seen in gdb).
            threading.Thread(target=handle.cancel_async_operation, daemon=True).start()
        if not done.wait(step.get("limit", 30)):
            raise TimeoutError
        return results[0]

    def _parameters(self, step: Json) -> Any:
        parameters = self._runtime.MSALRuntimeAuthParameters(self._client_id, step.get("authority", self._authority))
        parameters.set_requested_scopes(step.get("scopes", [GRAPH_DEFAULT]))
        parameters.set_redirect_uri(step.get("redirect_uri", NATIVE_CLIENT))
        if "claims" in step:
            parameters.set_decoded_claims(step["claims"])
        if "access_token_to_renew" in step:
            parameters.set_access_token_to_renew(step["access_token_to_renew"])
        if "pop" in step:
            pop = step["pop"]
            parameters.set_pop_params(pop["http_method"], pop["uri_host"], pop["uri_path"], pop["nonce"])
        additional: dict[str, str] = dict(step.get("additional_parameters", {}))
        if "username" in step:
            additional["MSALRuntime_Username"] = step["username"]
        if "password" in step:
            additional["MSALRuntime_Password"] = step["password"]
        for key, value in additional.items():
            parameters.set_additional_parameter(key, value)
        return parameters

    def _account(self, step: Json) -> Any:
        """Have the runtime look up the account object that its calls want."""
        reading = {"call": "read_account_by_id", "account": step.get("account") or self._account_id}
        account = self._await(reading, self._start(reading, str(uuid.uuid4()))).get_account()
        if account is None:
            raise RuntimeError(f"the runtime knows no account {reading['account']!r}")
        return account

    def _describe(self, result: Any) -> Json:
        outcome: Json = {"telemetry": result.get_telemetry_data()}
        error = result.get_error()
        if error:
            outcome["error"] = {
                "status": error.get_status().name.removeprefix("Status_"),
                "error_code": error.get_error_code(),
                "tag": error.get_tag(),
                "context": error.get_context(),
            }
            return outcome
        if hasattr(result, "get_accounts"):
            outcome["accounts"] = [_describe_account(account) for account in result.get_accounts()]
        if hasattr(result, "get_account"):
            account = result.get_account()
            outcome["account"] = _describe_account(account) if account else None
        if hasattr(result, "get_access_token"):
            outcome |= {
                "access_token": result.get_access_token(),
                "authorization_header": result.get_authorization_header(),
                "is_pop": result.is_pop_authorization(),
                "expires_on": result.get_access_token_expiry_time(),
                "granted_scopes": result.get_granted_scopes(),
                "id_token": result.get_raw_id_token(),
                "id_token_claims": json.loads(result.get_id_token() or "{}"),
            }
        return outcome


def _describe_account(account: Any) -> dict[str, str]:
    return {
        "account_id": account.get_account_id(),
        "home_account_id": account.get_home_account_id(),
        "local_account_id": account.get_local_account_id(),
        "environment": account.get_environment(),
        "home_environment": account.get_home_environment(),
        "realm": account.get_realm(),
        "username": account.get_user_name(),
        "given_name": account.get_given_name(),
        "middle_name": account.get_middle_name(),
        "family_name": account.get_family_name(),
        "display_name": account.get_display_name(),
        "client_info": account.get_client_info(),
        "additional_fields": account.get_additional_fields_json(),
    }


def main() -> None:
    """Read the scenario, carry it out, print the outcomes."""
    scenario = json.load(sys.stdin)
    try:
        runtime = importlib.import_module(scenario["runtime"])
    except (ImportError, OSError, RuntimeError) as error:
        print(json.dumps({"import_error": str(error)}))
        return
    outcomes = Driver(runtime, scenario).run()
    print(json.dumps({"outcomes": outcomes}), flush=True)
    # Not by returning: the shutdown of Microsoft's runtime waits for calls that hang, and crashes now and then.
    os._exit(0)


if __name__ == "__main__":
    main()
