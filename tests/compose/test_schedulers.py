"""The examples for SLURM and SkyPilot parse, and a requeued SLURM job goes on with its run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SCRIPTS = sorted(EXAMPLES.glob("slurm/*.sbatch"))
TASK = EXAMPLES / "skypilot" / "cusp.yaml"
# Options of `man sbatch`, and what their values look like.
OPTIONS = {
    "job-name": r"[\w-]+",
    "nodes": r"\d+",
    "ntasks": r"\d+",
    "gpus-per-node": r"(\w+:)?\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[KMGT]?",
    "time": r"(\d+-)?\d\d?:\d\d:\d\d",
    "signal": r"([BR]+:)?[A-Z]+@\d+",
    "requeue": "",
    "open-mode": "append|truncate",
    "output": r"[\w%./-]+",
}
STANDS_IN = """#!/bin/sh
echo "cusp $*" >> "$CALLS"
while [ $# -gt 1 ]; do shift; done
[ "$CREATE" = 0 ] || { mkdir -p "$CUSP_DIR/runs/$1" && touch "$CUSP_DIR/runs/$1/recipe.yaml"; }
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_and_sbatch_can_read_it(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    given = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    for each in given:
        found = re.fullmatch(r"--([a-z-]+)(?:=(\S+))?", each)
        assert found, each
        assert re.fullmatch(OPTIONS[found[1]], found[2] or ""), each
    first_command = next(at for at, line in enumerate(lines) if line and not line.startswith("#"))
    assert not [line for line in lines[first_command:] if line.startswith("#SBATCH")]
    # B: the batch shell, which `exec` makes cusp; without it only job steps (srun) are told.
    signals = [each for each in given if each.startswith("--signal=")]
    assert signals == ["--signal=B:TERM@600"], "600 s: what docker-compose.yml gives, too"
    assert lines[-1].startswith("exec cusp ")


def test_a_job_that_is_queued_again_goes_on_with_its_run(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cusp").write_text(STANDS_IN)
    (tmp_path / "bin" / "cusp").chmod(0o755)
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    given = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLES.parents[1]),
        "CALLS": str(tmp_path / "calls"),
        "SLURM_JOB_ID": "17",
        "SLURM_SUBMIT_DIR": str(tmp_path),
    }
    given.pop("CUSP_DIR", None)
    for begins in ("0", "1", "1"):  # the first one is preempted before its training has a folder
        subprocess.run(
            ["bash", EXAMPLES / "slurm" / "one_box.sbatch", "tiny", "seed=3"],
            env={**given, "CREATE": begins},
            check=True,
        )
    calls = (tmp_path / "calls").read_text().splitlines()
    first, second, third = (call for call in calls if "doctor" not in call)
    found = re.fullmatch(r"cusp train tiny seed=3 --run-id (\w{26})", first)
    assert found
    assert (second, third) == (first, f"cusp train --resume --run-id {found[1]}")


def test_skypilot_can_read_its_task() -> None:
    task = YAML(typ="safe").load(TASK)
    keys = {"name", "workdir", "resources", "envs", "secrets", "file_mounts", "setup", "run"}
    assert set(task) == keys
    assert task["resources"]["accelerators"] == "L40S:2"
    assert all(isinstance(value, str) for value in task["envs"].values())
    for part in ("setup", "run"):
        subprocess.run(["bash", "-n"], input=task[part], text=True, check=True)
