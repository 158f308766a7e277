"""The script of docs/reference/python.md as it stands there, after a trainer was made; stopped over REST."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cusp
from monitor.settings import MonitorConfig
from tests.e2e.plain_trl import Bench
from tests.e2e.script import ROOT, Script
from tests.serving import Served, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours

MADE = """
from pathlib import Path
from tests.e2e.plain_trl import Bench
folder = Path({folder!r})
trainer = Bench(folder / "cache").trainer(folder / "out", max_steps=400, save_steps=5)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(MonitorConfig(str(tmp_path_factory.mktemp("monitor") / "cusp.db"))) as served:
        yield served


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("cache"))


def test_the_documented_script_prints_what_was_kept_after_a_stop(
    served: Served, bench: Bench, tmp_path: Path
) -> None:
    script = Script(served, tmp_path, bench.cache)
    text = (ROOT / "docs/reference/python.md").read_text()
    documented = re.search(r"```python\n(import cusp\n.*?)```", text, re.DOTALL)
    assert documented is not None
    file = tmp_path / "train.py"
    file.write_text(MADE.format(folder=str(tmp_path)) + documented[1])
    process = subprocess.Popen(
        [sys.executable, str(file)],
        env={**os.environ, **script.environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: script.step() >= 6, 120)
        script.stop("read the docs")
        out, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, errors[-3000:]
    kept = script.run()["kept"]
    path = tmp_path / "out" / kept["path"]
    assert f"step {kept['step']} lies in {path}" in out
    assert f"its page is {served.url}/runs/{script.run_id}" in out


@pytest.mark.parametrize(
    "chosen",
    [
        {"logging_steps": 2},
        {"logging_steps": 0.25},
        {"steps_per_generation": 2, "logging_steps": 1},
        {"num_iterations": 2, "gradient_accumulation_steps": 2, "logging_steps": 1},
    ],
)
def test_completions_per_point_are_those_that_a_real_trainer_generates_between_two_points(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: dict[str, Any],
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    monkeypatch.setenv("CUSP_MODE", "offline")
    scored = 0

    def count(completions: list[str], **columns: object) -> list[float]:
        nonlocal scored
        scored += len(completions)
        return [0.0] * len(completions)

    trainer = bench.trainer(tmp_path / "out", rewards=[count], **chosen)
    watched = cusp.watch(trainer)
    trainer.train()
    measured = [entry for entry in trainer.state.log_history if "rewards/count/mean" in entry]
    assert watched.run is not None
    start = next((watched.run.home / "attempts").glob("*/start.json"))
    said = json.loads(start.read_text())["metadata"]["completions_per_point"]
    assert said == scored / len(measured)
