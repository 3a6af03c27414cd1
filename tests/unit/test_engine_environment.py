"""The environment plain `pulumi` runs in, and what the state backend and the events say."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_estate import tenancy
from local_estate.engine.cli import Origin, PulumiCli
from local_estate.engine.environment import LOCAL_PASSPHRASE, environment
from local_estate.engine.errors import EngineMissing
from local_estate.engine.events import EventReader
from local_estate.engine.pulumi_home import ProviderPlugin, providers
from local_estate.engine.state_backend import Lock, StateBackend
from local_estate.paths import REPOSITORY, Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(repository=REPOSITORY, tools=tmp_path / "tools", home=tmp_path / "estate")


@pytest.fixture
def cli(tmp_path: Path) -> PulumiCli:
    return PulumiCli(command=tmp_path / "pulumi-bin" / "pulumi", version="3.259.0", origin=Origin.BUILT)


def test_the_environment_leads_into_the_estate(paths: Paths, cli: PulumiCli) -> None:
    found = environment(paths, cli=cli, base={"PATH": "/usr/bin", "HOME": "/home/jane"})
    assert found["PATH"].split(os.pathsep) == [str(cli.directory), "/usr/bin"]
    assert found["PULUMI_HOME"] == str(paths.pulumi_home)
    assert found["PULUMI_BACKEND_URL"] == f"file://{paths.pulumi_state}"
    assert found["PULUMI_CONFIG_PASSPHRASE"] == LOCAL_PASSPHRASE
    assert found["ESTATE_HOME"] == str(paths.home)
    assert found["ARM_TENANT_ID"] == tenancy.TENANT_ID
    assert found["HOME"] == "/home/jane"
    assert not [name for name in found if "DEBUG" in name]


def test_a_users_own_pulumi_settings_do_not_leak_in(paths: Paths, cli: PulumiCli) -> None:
    base = {"PATH": "", "PULUMI_ACCESS_TOKEN": "pul-x", "PULUMI_DEBUG_PROVIDERS": "databricks:1", "PULUMI_BACKEND_URL": "s3://mine"}
    found = environment(paths, cli=cli, base=base)
    assert "PULUMI_ACCESS_TOKEN" not in found
    assert "PULUMI_DEBUG_PROVIDERS" not in found
    assert found["PULUMI_BACKEND_URL"].startswith("file://")


def test_entering_the_environment_twice_changes_nothing(paths: Paths, cli: PulumiCli) -> None:
    once = environment(paths, cli=cli, base={"PATH": "/usr/bin"})
    assert environment(paths, cli=cli, base=once) == once


def test_a_proxy_of_the_user_is_kept_off_the_loopback(paths: Paths, cli: PulumiCli) -> None:
    found = environment(paths, cli=cli, base={"https_proxy": "http://proxy:3128", "NO_PROXY": "intranet"})
    assert found["no_proxy"] == found["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert environment(paths, cli=cli, base=found) == found


def test_the_deployers_secret_comes_from_the_credentials(paths: Paths, cli: PulumiCli) -> None:
    paths.home.mkdir()
    deployer = {"client_id": "c", "client_secret": "s"}
    paths.credentials.write_text(json.dumps({"tenant_id": "t", "subscription_id": "u", "deployer": deployer}))
    found = environment(paths, cli=cli, base={})
    arm = {name: value for name, value in found.items() if name.startswith("ARM_")}
    assert arm == {"ARM_TENANT_ID": "t", "ARM_SUBSCRIPTION_ID": "u", "ARM_CLIENT_ID": "c", "ARM_CLIENT_SECRET": "s"}


def test_a_plugin_with_databricks_sdk_finds_the_workspaces_and_one_way_to_sign_in(paths: Paths, cli: PulumiCli) -> None:
    def databricks(base: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in environment(paths, cli=cli, base=base).items() if name.startswith("DATABRICKS_")}

    before_the_service = {"DATABRICKS_WORKSPACE_ADDRESSES": str(paths.endpoints), "DATABRICKS_AUTH_TYPE": "oauth-m2m"}
    assert databricks({"DATABRICKS_TOKEN": "dapi-x", "DATABRICKS_CONFIG_PROFILE": "mine"}) == before_the_service
    paths.home.mkdir()
    paths.credentials.write_text(json.dumps({"deployer": {"client_id": "c", "client_secret": "s"}}))
    assert databricks({}) == {**before_the_service, "DATABRICKS_CLIENT_ID": "c", "DATABRICKS_CLIENT_SECRET": "s"}


def test_without_a_cli_the_fix_is_named(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineMissing, match="Fix: make up"):
        environment(paths)


def test_a_plugin_has_the_version_of_its_sdk_and_names_no_checkout() -> None:
    names = {plugin.name: plugin for plugin in providers()}
    assert set(names) == {"azure-native", "databricks"}
    for plugin in names.values():
        assert str(REPOSITORY) not in plugin.script()
        assert plugin.version[0].isdigit()


def test_a_plugin_outside_of_the_environment_says_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "plugin"
    script.write_text(ProviderPlugin(name="x", version="1.0.0", module="m").script())
    result = subprocess.run(["sh", str(script)], capture_output=True, text=True, env={"PATH": os.defpath}, check=False)
    assert result.returncode != 0
    assert "make shell" in result.stderr


def test_a_plugin_runs_the_checkout_that_calls(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("import sys\ndef main(): print('here', sys.argv[1])\n")
    script = tmp_path / "plugin"
    script.write_text(ProviderPlugin(name="x", version="1.0.0", module="elsewhere").script())
    variables = {"PATH": os.defpath, "ESTATE_PYTHON": sys.executable, "ESTATE_REPOSITORY": str(tmp_path)}
    result = subprocess.run(["sh", str(script), "engine:1"], capture_output=True, text=True, env=variables, check=True)
    assert result.stdout == "here engine:1\n"


def test_a_lock_is_dead_when_its_process_is_gone_from_this_machine() -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    here = socket.gethostname()
    assert not Lock(pid=gone.pid, hostname=here, timestamp="").alive
    assert Lock(pid=os.getpid(), hostname=here, timestamp="").alive
    assert Lock(pid=gone.pid, hostname="another-machine", timestamp="").alive


def test_the_backend_reads_pending_operations_and_survives_a_truncated_checkpoint(tmp_path: Path) -> None:
    backend = StateBackend(tmp_path, "lakehouse")
    file = backend.checkpoint("dev")
    file.parent.mkdir(parents=True)
    operation = {"type": "creating", "resource": {"urn": "urn:pulumi:dev::lakehouse::a:b:C::d"}}
    file.write_text(json.dumps({"checkpoint": {"latest": {"pending_operations": [operation], "resources": [{"type": "a:b:C"}]}}}))
    assert [each.kind for each in backend.pending("dev")] == ["creating"]
    assert len(backend.resources("dev")) == 1
    file.write_text('{"checkpoint": {"lat')
    assert backend.pending("dev") == []
    assert backend.pending("never-made") == []


def diagnostic(message: str, severity: str, **more: object) -> dict[str, object]:
    return {"diagnosticEvent": {"message": message, "severity": severity, **more}}


def test_debug_messages_hold_values_in_clear_and_go_nowhere() -> None:
    reader = EventReader()
    assert reader.line(diagnostic("props: geheim", "debug")) is None
    assert reader.diagnostics == []


def test_an_error_is_kept_once_with_its_resource_and_echoes_are_dropped() -> None:
    reader = EventReader()
    urn = "urn:pulumi:dev::lakehouse::lakehouse:azure:Storage$azure-native:storage:StorageAccount::landing"
    for _ in range(2):
        reader.line(diagnostic("<{%reset%}>409 Conflict: taken<{%reset%}>\n", "error", urn=urn))
    reader.line(diagnostic("update failed", "error"))
    reader.line(diagnostic("Update failed: unknown stack", "error"))
    assert reader.diagnostics == ["azure-native:storage:StorageAccount landing: 409 Conflict: taken", "Update failed: unknown stack"]


def test_policies_that_could_not_run_are_kept_apart_from_advice_and_denials() -> None:
    reader = EventReader()
    for level, message in (("mandatory", "no"), ("advisory", "rather not"), ("advisory", "can't run policy 'x' during preview")):
        reader.line({"policyEvent": {"policyName": "p", "message": message, "enforcementLevel": level, "resourceUrn": "u"}})
    assert [len(found) for found in (reader.denials, reader.advisories, reader.not_run)] == [1, 1, 1]


def test_the_summary_counts_each_kind_of_change() -> None:
    reader = EventReader()
    reader.line({"summaryEvent": {"resourceChanges": {"create": 3, "update": 1, "delete": 2, "same": 4, "replace": 1}}})
    summary = reader.summary(1.0)
    assert (summary.created, summary.updated, summary.deleted, summary.replaced, summary.same) == (3, 1, 2, 1, 4)
    assert summary.changed == 7
    assert str(summary) == "3 created, 1 updated, 1 replaced, 2 deleted, 4 unchanged in 1 s"
