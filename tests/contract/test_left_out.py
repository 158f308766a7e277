"""A training that logs what no monitor takes: the real client in its own process, a real monitor.

Only what is wrong is left out; the rest of the step, and the run, arrive.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitor.settings import MonitorConfig
from tests.messages import Json
from tests.serving import Served, serving

STEPS = 20
LOOP = """
import cusp
run = cusp.init(name="n")
for s in range({steps}):
    m = {{"rewards/format_reward/mean": 0.5, "completions/mean_length": 100.0}}
    {more}
    run.log(m, step=s)
print(run.id, run.finish(drain_s=30))
"""


@pytest.fixture
def monitor(database_url: str) -> Iterator[Served]:
    with serving(MonitorConfig(database_url)) as served:
        yield served


def trained(
    monitor: Served, folder: Path, script: str, **more: str
) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Run the script of a training in its own process; return the run's id and how it ended."""
    environment = {
        **os.environ,
        "CUSP_URL": monitor.url,
        "CUSP_DIR": str(folder / "client"),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_id, sent = done.stdout.split()[-2:]
    assert sent == "True", done.stderr
    return run_id, done


def read(monitor: Served, path: str) -> Json:
    found: Json = httpx.get(f"{monitor.url}/api/v1{path}", timeout=30).raise_for_status().json()
    return found


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("m['rewards/' + 'x' * 201 + '/mean'] = 1.0", "1 to 200 printable"),
        ("m['a\\nb\\x00c\\td'] = 1.0; m[''] = 2.0; m['\\ud800'] = 3.0", "printable"),
        ("m[('a', 3)] = 1.0; m[7] = 2.0; m[None] = 3.0", ""),
        ("m['text'] = 'high'; m['flag'] = True; m['deep'] = {'a': {'b': 1.0}}", "is one number"),
        ("m['list'] = [1.0]; m['huge'] = 10**6000; m['nan'] = float('nan')", "is one number"),
        (
            "import numpy; m['many'] = numpy.ones(3); m['ones'] = numpy.ones((1, 1))",
            "is one number",
        ),
        (
            "import torch; m['many'] = torch.ones(3); m['half'] = torch.ones((), dtype=torch.half)",
            "",
        ),
        (
            "class Odd:\n        def __float__(self): raise KeyError('odd')\n    m['odd'] = Odd()",
            "",
        ),
        ("m.update({f'grad_norm/layer{i}': 1.0 for i in range(600)})", "in 2 parts of 512"),
        ("m.update({f'l{i}': 1.0 for i in range(3000)})", "are left out"),
    ],
)
def test_one_wrong_metric_costs_the_step_nothing(
    monitor: Served, tmp_path: Path, more: str, says: str
) -> None:
    run_id, done = trained(monitor, tmp_path, LOOP.format(steps=STEPS, more=more))
    for name in ("format_reward", "completion_length"):
        (series,) = read(monitor, f"/runs/{run_id}/series?names={name}")["series"]
        assert series["steps"] == list(range(STEPS)), done.stderr
    run = read(monitor, f"/runs/{run_id}")
    assert (run["status"], run["step"]) == ("finished", STEPS - 1)
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 4, "said once a kind, not once a step"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("silent", ["", "1"])
def test_a_plain_loop_says_where_it_can_be_watched_and_leaves_its_output_alone(
    monitor: Served, tmp_path: Path, silent: str
) -> None:
    run_id, done = trained(
        monitor, tmp_path, LOOP.format(steps=STEPS, more="pass"), CUSP_SILENT=silent
    )
    said = [line for line in done.stderr.splitlines() if f"{monitor.url}/runs/{run_id}" in line]
    assert len(said) == (0 if silent else 1), done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_metrics_that_are_no_dict_and_steps_that_are_none_do_not_end_a_training(
    monitor: Served, tmp_path: Path
) -> None:
    more = "run.log([1, 2]); run.log(3.5); run.log(None); run.log({'a': 1.0}, step='x'); run.log(m, 10**30)"
    run_id, done = trained(monitor, tmp_path, LOOP.format(steps=STEPS, more=more))
    (series,) = read(monitor, f"/runs/{run_id}/series?names=format_reward")["series"]
    assert series["steps"] == list(range(STEPS))
    assert len(done.stderr.splitlines()) <= 3


START = """
import cusp, logging
from cusp.protocol.run import RunMetadata
run = cusp.init({arguments})
run.log({{"format_reward": 0.5}}, step=1)
print(run.id, run.finish(drain_s=30))
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("name='n', config={'rows': 'x' * 9_000_000, 'lr': 0.1}", "rows"),
        ("name='n', config={str(i): 'x' * 1_000 for i in range(20_000)} | {'lr': 0.1}", "config"),
        (
            "name='n', config={'data': {'rows': list(range(900_000)), 'split': 'a'}, 'lr': 0.1}",
            "data.rows",
        ),
        ("name='n', config={'big': 10**5000, 'lr': 0.1}", ""),
        ("name='n', tags=[f't{i}' for i in range(99)]", "first 32"),
        ("name='n', tags=['x' * 999, '', 5, 'a\\0b', 'ok']", ""),
        ("name='n' * 999, project='p\\0' + 'q' * 999", ""),
        ("name='n', metadata=RunMetadata().model_copy(update={'max_steps': -1})", "max_steps"),
        (
            "name='n', metadata=RunMetadata().model_copy(update={'gpu_hourly_usd': float('nan')})",
            "gpu_hourly",
        ),
        (
            "name='n', metadata=RunMetadata().model_copy(update={'roles': {'format': ['f'] * 99}})",
            "first 64",
        ),
        (
            "name='n', metadata=RunMetadata().model_copy("
            "update={'rewards': {str(i): {'low': 0, 'high': 1, 'graded': False} for i in range(99)}})",
            "first 64",
        ),
    ],
)
def test_no_announcement_hides_its_run(
    monitor: Served, tmp_path: Path, arguments: str, says: str
) -> None:
    run_id, done = trained(monitor, tmp_path, START.format(arguments=arguments))
    run = read(monitor, f"/runs/{run_id}")
    assert (run["status"], run["step"]) == ("finished", 1)
    assert says in done.stderr
    if "'lr'" in arguments:
        assert run["config"]["lr"] == 0.1
    if "rows" in arguments or "range(20_000)" in arguments:
        assert run["config"]["(left out by Cusp)"], "the run says what its config lacks"


MESSAGES = """
import cusp, numpy
from safetensors.numpy import save_file
run = cusp.init(name="n")
run.log({"format_reward": 0.5}, step=1)
run.sample(1, "p\\0" + "x" * 99_999, "c\\ud800" + "y" * 99_999, {str(i): 1.0 for i in range(99)} | {"z" * 300: 1.0})
run.sample(1, 5, None, {"bad": "high"})
run.boundary(1, "r" * 99_999)
deep = run.root
for _ in range(12):
    deep = deep / ("d" * 90)
deep.mkdir(parents=True)
save_file({"lora_A": numpy.ones(2)}, deep / "adapter_model.safetensors")
run.checkpoint(deep, 1)
good = run.root / "checkpoint-2"
good.mkdir()
save_file({"lora_A": numpy.ones(2)}, good / "adapter_model.safetensors")
run.checkpoint(good, 2)
run.settle()
print(run.id, run.finish("failed", "because\\0 " + "w" * 99_999, drain_s=30))
"""


def test_texts_too_long_and_paths_too_long_cost_themselves_alone(
    monitor: Served, tmp_path: Path
) -> None:
    run_id, done = trained(monitor, tmp_path, MESSAGES)
    run = read(monitor, f"/runs/{run_id}")
    assert run["status"] == "failed"
    assert run["status_reason"].startswith("because? w")
    samples = read(monitor, f"/runs/{run_id}/samples")["samples"]
    assert sorted(len(one["rewards"]) for one in samples) == [0, 64]
    kept = read(monitor, f"/runs/{run_id}/checkpoints")["checkpoints"]
    assert [one["step"] for one in kept] == [2]
    assert "is longer than 1000 letters" in done.stderr
    assert run["quarantined"] == 0


def test_a_monitor_or_proxy_with_a_smaller_limit_is_told_of_the_run_with_less(
    database_url: str, tmp_path: Path
) -> None:
    config = "{'rows': 'x' * 60_000, 'lr': 0.1}"
    with serving(MonitorConfig(database_url, body_limit_bytes=20_000)) as monitor:
        script = START.format(arguments=f"name='n', config={config}, tags=['kept']")
        run_id, done = trained(monitor, tmp_path, script)
        run = read(monitor, f"/runs/{run_id}")
        assert (run["step"], run["config"]["lr"], run["tags"]) == (1, 0.1, ["kept"])
        assert "without its whole config" in done.stderr
    with serving(MonitorConfig(database_url, body_limit_bytes=700)) as monitor:
        script = START.format(arguments=f"name='n', config={config}, tags=['t' * 100] * 9")
        run_id, _ = trained(monitor, tmp_path, script)
        assert read(monitor, f"/runs/{run_id}")["step"] == 1


def test_what_the_monitor_left_out_is_said_by_the_client_and_by_cusp_show(
    database_url: str, tmp_path: Path
) -> None:
    with serving(MonitorConfig(database_url, series_limit=5)) as monitor:
        more = "m.update({f'time/step_{s}/part_{i}': 1.0 for i in range(3)}); m['loss'] = 1.0"
        run_id, done = trained(monitor, tmp_path, LOOP.format(steps=STEPS, more=more))
        assert done.stderr.count("The monitor left out: the run has 5 metrics") == 1
        for name in ("format_reward", "loss"):
            (series,) = read(monitor, f"/runs/{run_id}/series?names={name}")["series"]
            assert series["steps"] == list(range(STEPS))
        shown = subprocess.run(
            [sys.executable, "-m", "cusp", "show", run_id],
            env={**os.environ, "CUSP_URL": monitor.url},
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert "left out: time/step_" in shown.stdout
        assert "log fewer names" in shown.stdout


def test_a_log_call_costs_as_little_as_before(monitor: Served, tmp_path: Path) -> None:
    """20 metrics, mended or not: some tens of microseconds on an idle machine."""
    script = """
import cusp, time
run = cusp.init(name="n")
m = {f"metric/{i}": float(i) for i in range(19)} | {"a\\tb": 1.0}
took = []
for s in range(2_000):
    began = time.perf_counter()
    run.log(m, step=s)
    took.append(time.perf_counter() - began)
print(run.id, sorted(took)[len(took) // 2] < 0.002)
run.finish(drain_s=0.1)
"""
    environment = {**os.environ, "CUSP_URL": monitor.url, "CUSP_DIR": str(tmp_path / "client")}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split()[1] == "True", done.stderr
    assert time.monotonic() - began < 60
