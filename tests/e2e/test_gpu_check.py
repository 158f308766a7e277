"""docker/gpu_check.py as far as a CPU without vLLM goes; tests/vllm and a GPU box do the rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
