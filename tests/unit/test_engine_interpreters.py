"""What the language host finds out about an environment, and its children, without an engine."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from local_estate.engine.errors import PolicyEnvironmentMissing
from local_estate.engine.hashed_lock import make_environment
from local_estate.engine.language_host import child_process, dependencies
from local_estate.engine.language_host.child_process import ChildProcess
from local_estate.engine.language_host.interpreters import Interpreter, NoInterpreter, interpreter_for
from local_estate.engine.policy_environment import policy_environment
from local_estate.paths import Paths


def virtual_environment(directory: Path) -> Path:
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "python").symlink_to(sys.executable)
    (directory / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    return directory


def distribution(environment: Path, name: str, version: str, *requires: str) -> None:
    folder = environment / "lib" / "python3.11" / "site-packages" / f"{name}-{version}.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")


def test_the_environment_named_in_the_project_is_used_relative_to_it_and_as_a_link(tmp_path: Path) -> None:
    environment = virtual_environment(tmp_path / "envs" / "policies")
    found = interpreter_for(tmp_path / "project", {"virtualenv": "../envs/policies"})
    assert found == Interpreter(executable=environment / "bin" / "python", virtual_environment=environment)


def test_the_toolchain_uv_has_its_environment_by_default(tmp_path: Path) -> None:
    environment = virtual_environment(tmp_path / ".venv")
    assert interpreter_for(tmp_path, {"toolchain": "uv"}).virtual_environment == environment


def test_a_missing_environment_and_an_unsupported_toolchain_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NoInterpreter, match=r"\.venv does not exist"):
        interpreter_for(tmp_path, {"virtualenv": ".venv"})
    with pytest.raises(NoInterpreter, match="'poetry'"):
        interpreter_for(tmp_path, {"toolchain": "poetry"})


def test_without_a_named_environment_the_callers_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_PYTHON_CMD", "/opt/python")
    assert interpreter_for(tmp_path, {}).executable == Path("/opt/python")


def test_a_child_sees_its_environment_activated_and_not_the_hosts(tmp_path: Path) -> None:
    environment = virtual_environment(tmp_path / ".venv")
    found = interpreter_for(tmp_path, {"virtualenv": ".venv"}).environment({"PATH": "/usr/bin", "PYTHONHOME": "/x", "VIRTUAL_ENV": "/y"})
    assert found == {"PATH": f"{environment / 'bin'}{os.pathsep}/usr/bin", "VIRTUAL_ENV": str(environment)}


def test_plugins_are_those_the_installed_sdks_name(tmp_path: Path) -> None:
    packages = virtual_environment(tmp_path / ".venv") / "lib" / "python3.11" / "site-packages"
    for name, said in {
        "pulumi_databricks": {"resource": True, "name": "databricks", "version": "1.118.0"},
        "pulumi_policy": {"resource": False},
    }.items():
        (packages / name).mkdir()
        (packages / name / "pulumi-plugin.json").write_text(json.dumps(said))
    [found] = dependencies.required_packages(interpreter_for(tmp_path, {"virtualenv": ".venv"}))
    assert (found.name, found.kind, found.version) == ("databricks", "resource", "v1.118.0")


def test_direct_dependencies_are_those_nothing_else_requires(tmp_path: Path) -> None:
    environment = virtual_environment(tmp_path / ".venv")
    distribution(environment, "pulumi_databricks", "1.118.0", "pulumi>=3", 'pytest ; extra == "dev"')
    distribution(environment, "Pulumi", "3.259.0")
    distribution(environment, "pytest", "9.0.0")
    interpreter = interpreter_for(tmp_path, {"virtualenv": ".venv"})
    assert [each.name for each in dependencies.installed(interpreter, transitive=False)] == ["pulumi_databricks", "pytest"]
    assert len(dependencies.installed(interpreter, transitive=True)) == 3


def test_a_childs_lines_come_with_their_stream_and_its_exit_code(tmp_path: Path) -> None:
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr, flush=True); sys.exit(7)"
    child = ChildProcess([sys.executable, "-c", program], cwd=tmp_path, environment=os.environ)
    assert sorted(child.events()) == [("stderr", b"err\n"), ("stdout", b"out\n")]
    assert child.wait() == 7
    child.end()


def test_every_child_can_be_ended_at_once(tmp_path: Path) -> None:
    program = "import threading; print('up', flush=True); threading.Event().wait()"
    children = [ChildProcess([sys.executable, "-c", program], cwd=tmp_path, environment=os.environ) for _ in range(2)]
    for child in children:
        assert next(child.events()) == ("stdout", b"up\n")
    child_process.end_all()
    assert all(child.wait() != 0 for child in children)


def test_a_uv_that_starts_nothing_leaves_the_work_to_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = tmp_path / "bin" / "uv"
    launcher.parent.mkdir()
    launcher.write_text("#!/bin/sh\necho 'uv: command not found' >&2\nexit 127\n")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "lock.txt").write_text("")
    make_environment(tmp_path / "made", tmp_path / "lock.txt")
    assert (tmp_path / "made" / "bin" / "python").exists()


def test_the_policies_environment_is_remade_only_when_its_lock_changes(tmp_path: Path) -> None:
    paths = Paths(repository=tmp_path, tools=tmp_path / "tools", home=tmp_path / "estate")
    (tmp_path / "policies").mkdir()
    (tmp_path / "requirements").mkdir()
    lock = tmp_path / "requirements" / "policies.txt"
    lock.write_text("")
    made = policy_environment(paths)
    (made / "kept").write_text("")
    assert (policy_environment(paths) / "kept").exists()
    lock.write_text("# changed\n")
    assert not (policy_environment(paths) / "kept").exists()
    lock.write_text("./no-such-file.whl --hash=sha256:00\n")
    with pytest.raises(PolicyEnvironmentMissing, match="Fix: see whether"):
        policy_environment(paths)
    assert not made.exists()
    shutil.rmtree(tmp_path / "policies")
