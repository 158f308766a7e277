"""Scores of another harness, imported, compared, shown and exported by the real command and a real monitor."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.conftest import MonitorProcess
from tests.cusp.cli.scores.test_importing import lm_eval
from tests.messages import Trainer, checkpoint, point, status


def cusp(monitor: MonitorProcess, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cusp", *words],
        env={**os.environ, "CUSP_URL": monitor.url, "CUSP_TOKEN": "secret-of-the-test"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def monitor(monitor_process: MonitorProcess) -> MonitorProcess:
    monitor_process.token = "secret-of-the-test"
    monitor_process.start()
    return monitor_process


def test_scores_of_two_checkpoints_are_imported_compared_and_exported(
    monitor: MonitorProcess, tmp_path: Path
) -> None:
    with monitor.client() as client:
        trainer = Trainer(client)  # type: ignore[arg-type]  # speaks as the TestClient does
        trainer.send(*[point(step) for step in range(1, 21)], checkpoint(10), checkpoint(20))
        trainer.send(status("finished"))
        (tmp_path / "good").mkdir()
        (tmp_path / "bad").mkdir()
        good = lm_eval(tmp_path / "good", [1.0] * 38 + [0.0] * 2)
        bad = lm_eval(tmp_path / "bad", [1.0] * 20 + [0.0] * 20)
        metric = ("--metric", "exact_match,strict-match")
        told = cusp(
            monitor, "evaluate", trainer.run_id, "15", "--import", str(good), *metric, code=2
        )
        assert "has no checkpoint of step 15; it has steps 10, 20" in told
        told = cusp(monitor, "evaluate", trainer.run_id, "10", "--import", str(good), *metric)
        assert "step 10 on gsm8k: lm_eval:exact_match,strict-match 0.950" in told
        assert "Not compared: a comparison needs rows of two checkpoints" in told
        told = cusp(monitor, "evaluate", trainer.run_id, "20", "--import", str(bad), *metric)
        assert "No checkpoint is chosen" in told
        found = trainer.get("/evaluations")
        assert [(one["step"], one["n_problems"]) for one in found["evaluations"]] == [
            (10, 40),
            (20, 40),
        ]
        (row,) = found["comparison"]["rows"]
        assert (row["step"], row["verdict"], round(row["difference"], 3)) == (10, "better", 0.45)
        differing = trainer.get("/evaluations/differences", first=10, second=20)
        assert (differing["compared"], differing["first_better"]) == (40, 18)
        assert differing["problems"][0]["question"].startswith("How many are")
        lines = [exported(monitor, trainer.run_id, tmp_path / f"rows{end}") for end in ENDS]
        assert "gsm8k" in cusp(monitor, "evaluations", trainer.run_id)
    assert lines[0] == lines[1] == lines[2]
    assert len(lines[0]) == 80
    assert (lines[0][0]["step"], lines[0][0]["text"]) == (10, "It is 0.")
    assert "ends in none of" in cusp(
        monitor, "evaluations", trainer.run_id, "--to", "x.xls", code=2
    )


ENDS = (".csv", ".jsonl", ".parquet")


def exported(monitor: MonitorProcess, run_id: str, to: Path) -> list[dict[str, object]]:
    """Return the lines of an export, numbers as numbers."""
    if to.suffix == ".parquet":
        cusp(monitor, "evaluations", run_id, "--to", str(to))
    else:
        path = f"/api/v1/runs/{run_id}/evaluations/export?format={to.suffix[1:]}"
        with monitor.client() as client:
            to.write_bytes(client.get(path).raise_for_status().content)
    if to.suffix == ".parquet":
        found: list[dict[str, object]] = parquet.read_table(to).to_pylist()
    elif to.suffix == ".jsonl":
        found = [json.loads(line) for line in to.read_text(encoding="utf-8").splitlines()]
    else:
        with to.open(encoding="utf-8", newline="") as file:
            found = [_typed(line) for line in csv.DictReader(file)]
    return found


def _typed(line: dict[str, str]) -> dict[str, object]:
    whole = {"step", "sample", "tokens", "seed"}
    made: dict[str, object] = {}
    for name, value in line.items():
        number = float(value) if name == "score" and value else value or None
        made[name] = int(value) if name in whole and value else number
    return made
