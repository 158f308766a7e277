"""docker/gpu_check.py as far as a CPU without vLLM goes; tests/vllm and a GPU box do the rest."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import create_autospec

import pytest
import torch

from tests.e2e.script import ROOT


def test_the_check_of_a_gpu_box_trains_both_presets_with_the_smallest_model(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docker/gpu_check.py"), "--smallest"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUSP_DIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    *lines, document = done.stdout.splitlines()
    outcomes = {one["stage"]: one["outcome"] for one in json.loads(document)["stages"]}
    assert done.returncode == 0, lines
    assert [line.split()[0] for line in lines] == list(outcomes.values())
    assert {name for name, outcome in outcomes.items() if outcome == "PASS"} >= {
        "imports",
        "paper",
        "modern",
    }
    (modern,) = (line for line in lines if " modern " in line)
    assert "base unchanged True" in modern


def test_the_lines_for_a_gpu_speak_torchs_own_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pretended, as no GPU is in CI: a call that torch has not, or has with other arguments, fails here."""
    check = loaded()
    check.make_model(tmp_path, smallest=True)
    gib = 2**30
    for name, found in {
        "is_available": True,
        "get_device_name": "NVIDIA L40S",
        "device_count": 2,
        "mem_get_info": (36 * gib, 48 * gib),
        "max_memory_reserved": 9 * gib,
    }.items():
        monkeypatch.setattr(
            torch.cuda, name, create_autospec(getattr(torch.cuda, name), return_value=found)
        )
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho '595.71, 46068 MiB'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")

    found = check.imports(tmp_path, smallest=False)

    assert (found["device"], found["devices"], found["driver"]) == (
        "NVIDIA L40S",
        2,
        "595.71, 46068 MiB",
    )
    assert (check.peak_gib(), check.used_gib(), check.free_gib(), check.device()) == (
        9.0,
        12.0,
        36.0,
        "cuda",
    )


def loaded() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "docker/gpu_check.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
