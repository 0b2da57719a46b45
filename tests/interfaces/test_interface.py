"""``interfaces/``: the XML is readable by other tools, and the generated files are up to date."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from dbus_next import introspection

from linuxbroker.resources import interface_xml, interfaces_folder
from linuxbroker.wire import models
from linuxbroker.wire.proxy import Broker1Proxy

METHODS = {
    "acquireTokenInteractively",
    "acquireTokenSilently",
    "getAccounts",
    "removeAccount",
    "acquirePrtSsoCookie",
    "generateSignedHttpRequest",
    "cancelInteractiveFlow",
    "getLinuxBrokerVersion",
}


def test_dbus_next_parses_the_eight_methods_with_named_arguments() -> None:
    (interface,) = introspection.Node.parse(interface_xml()).interfaces
    assert interface.name == "com.microsoft.identity.Broker1"
    assert {method.name for method in interface.methods} == METHODS
    for method in interface.methods:
        assert (method.in_signature, method.out_signature) == ("sss", "s")
        assert [arg.name for arg in method.in_args] == ["protocolVersion", "correlationId", "requestJson"]
        assert [arg.name for arg in method.out_args] == ["replyJson"]


@pytest.mark.skipif(shutil.which("gdbus-codegen") is None, reason="needs gdbus-codegen (libglib2.0-dev-bin)")
def test_gdbus_codegen_accepts_the_eight_methods(tmp_path: Path) -> None:
    xml = interfaces_folder() / "com.microsoft.identity.broker1.xml"
    command = ["gdbus-codegen", "--generate-c-code", "broker1", "--output-directory", str(tmp_path), str(xml)]
    subprocess.run(command, check=True, capture_output=True)
    header = (tmp_path / "broker1.h").read_text()
    for method in METHODS:
        snake = "".join("_" + letter.lower() if letter.isupper() else letter for letter in method)
        assert f"_call_{snake}_sync (" in header


def test_each_method_has_request_and_reply_schemas() -> None:
    for method in ElementTree.fromstring(interface_xml()).iter("method"):
        annotations = {item.attrib["name"]: item.attrib["value"] for item in method.iter("annotation")}
        for kind in ("RequestType", "ReplyType"):
            name = annotations[f"io.github.linuxbroker.{kind}"]
            assert issubclass(getattr(models, name), models.WireModel)
            schema = json.loads((interfaces_folder() / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
            assert schema["title"] == name


def test_the_proxy_has_one_typed_coroutine_for_each_method() -> None:
    members = dict(inspect.getmembers(Broker1Proxy, inspect.iscoroutinefunction))
    assert len(members) == len(METHODS)
    for member in members.values():
        assert set(member.__annotations__) == {"request", "options", "return"}


def test_each_method_says_whether_a_call_may_be_sent_a_second_time() -> None:
    said = {
        method.attrib["name"]: item.attrib["value"]
        for method in ElementTree.fromstring(interface_xml()).iter("method")
        for item in method.iter("annotation")
        if item.attrib["name"] == "io.github.linuxbroker.Repeatable"
    }
    once = {"acquireTokenInteractively", "removeAccount", "cancelInteractiveFlow"}
    assert said == {method: "false" if method in once else "true" for method in METHODS}


def _generate(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(tree / "interfaces" / "generate.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the generator reads and writes."""
    root = interfaces_folder().parent
    if not (root / "linuxbroker" / "wire" / "proxy.py").is_file():
        pytest.skip("needs the source tree")
    shutil.copytree(root / "interfaces", tmp_path / "interfaces")
    (tmp_path / "linuxbroker" / "wire").mkdir(parents=True)
    shutil.copy(root / "linuxbroker" / "wire" / "proxy.py", tmp_path / "linuxbroker" / "wire")
    return tmp_path


def test_generate_check_fails_on_a_stale_proxy_and_generate_rewrites_it(tree: Path) -> None:
    _generate(tree)
    proxy = tree / "linuxbroker" / "wire" / "proxy.py"
    fresh = proxy.read_text(encoding="utf-8")
    proxy.write_text(fresh.replace("getAccounts", "getAccount"), encoding="utf-8")
    check = _generate(tree, "--check")
    assert (check.returncode, check.stdout) == (1, "stale: linuxbroker/wire/proxy.py\n")
    _generate(tree)
    assert _generate(tree, "--check").returncode == 0
    assert proxy.read_text(encoding="utf-8") == fresh


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda path: path.write_text("{}"), lambda path: path.rename(f"{path}.x.schema.json")]
)
def test_generate_check_fails_on_stale_missing_and_left_over_schemas(tree: Path, spoil: object) -> None:
    _generate(tree)
    assert callable(spoil)
    spoil(tree / "interfaces" / "schemas" / "GetAccountsReply.schema.json")
    check = _generate(tree, "--check")
    assert check.returncode == 1
    assert "schemas/GetAccountsReply.schema.json" in check.stdout
    _generate(tree)
    assert _generate(tree, "--check").returncode == 0
