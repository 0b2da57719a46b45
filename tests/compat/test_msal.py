"""An unmodified MSAL Python app signs its user in through the fake broker, on either runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linuxbroker_fake import FakeConfig, RunningFake
from tests.compat.desktop import User

DRIVER = str(Path(__file__).with_name("msal_driver.py"))
# How a program is run on each runtime.
RUNTIMES = {"Microsoft's": (), "ours": ("-m", "linuxbroker", "run", "--force")}

pytestmark = pytest.mark.parametrize("on", RUNTIMES.values(), ids=RUNTIMES.keys())


@pytest.fixture(params=["microsoft-2.0.1", "microsoft-2.5.2"])
def fake_broker_config(request: pytest.FixtureRequest) -> FakeConfig:
    return FakeConfig.model_validate({"persona": request.param, "signed_in": ["ada@contoso.example"]})


def test_an_app_signs_in_gets_a_token_silently_and_signs_out(
    user: User, fake_broker: RunningFake, on: tuple[str, ...]
) -> None:
    seen = json.loads(user.python(*on, DRIVER))
    assert seen["signed_in"]["token_source"] == "broker"
    assert fake_broker.broker.verify_access_token(seen["signed_in"]["access_token"])["upn"] == "ada@contoso.example"
    (account,) = seen["accounts"]
    assert (account["username"], account["account_source"]) == ("ada@contoso.example", "broker")
    storage = fake_broker.broker.verify_access_token(seen["silent"]["access_token"])
    assert storage["aud"].rstrip("/") == "https://storage.azure.com"
    assert seen["left"] == []


def test_a_failure_is_given_as_msal_gives_it(
    user: User, fake_broker: RunningFake, on: tuple[str, ...], tmp_path: Path
) -> None:
    fake_broker.plant("device_not_registered", method="acquireTokenSilently")
    fake_broker.plant("device_not_registered", method="acquireTokenInteractively")
    program = tmp_path / "failing.py"
    program.write_text(_printing_failures(), encoding="utf-8")
    seen = json.loads(user.python(*on, str(program)))
    assert seen["error"] == "broker_error"
    assert "Status: Response_Status.Status_DeviceNotRegistered" in seen["error_description"]


def _printing_failures() -> str:
    return (
        f"import sys, json; sys.path.insert(0, {str(Path(DRIVER).parent)!r})\n"
        "import msal, msal_driver as driver\n"
        "app = msal.PublicClientApplication(driver.CLIENT_ID, enable_broker_on_linux=True,\n"
        "    authority='https://login.microsoftonline.com/organizations', http_client=driver.LoginHost())\n"
        "result = app.acquire_token_interactive(driver.GRAPH, parent_window_handle=app.CONSOLE_WINDOW_HANDLE)\n"
        "print(json.dumps({key: str(value) for key, value in result.items()}))\n"
    )
