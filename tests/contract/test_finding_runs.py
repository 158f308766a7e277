"""Which run a command acts on: found wherever it is in the list, asked about when it is not one."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from cusp.ids import new_id
from monitor.settings import MonitorConfig
from tests.messages import Json, checkpoint, point, status
from tests.serving import Served, serving

COUNT = 520  # beyond what a list ever holds
TAKE_A_RUN: tuple[list[str], ...] = (
    ["show"],
    ["stop"],
    ["promote"],
    ["pin"],
    ["resume"],
    ["evaluate"],
    ["runs", "delete"],
)


class Runs:
    """A monitor with many runs: the oldest ones are `old`, `twin` and `twin`."""

    def __init__(self, served: Served) -> None:
        self.url = served.url
        self.client = httpx.Client(base_url=f"{served.url}/api/v1", timeout=30)
        self.old, self.one, self.other = (self.add(name) for name in ("old", "twin", "twin"))
        for number in range(COUNT):
            self.add(f"seed-{number}")

    def add(self, name: str) -> str:
        run_id = new_id()
        start = {"run_id": run_id, "attempt_id": run_id, "name": name, "project": "sweep"}
        self.client.post("/runs", json=start).raise_for_status()
        return run_id

    def send(self, run_id: str, *messages: Json, first_seq: int = 0) -> None:
        body = {"attempt_id": run_id, "first_seq": first_seq, "messages": messages}
        self.client.post(f"/runs/{run_id}/batches", json=body).raise_for_status()

    def cusp(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cusp", *arguments],
            env={**os.environ, "CUSP_URL": self.url},
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("many")
    with serving(MonitorConfig(str(folder / "cusp.db"))) as served:
        made = Runs(served)
        yield made
        made.client.close()


@pytest.mark.parametrize("command", TAKE_A_RUN, ids=" ".join)
def test_an_ambiguous_name_is_asked_about_and_nothing_is_done(
    runs: Runs, command: list[str]
) -> None:
    more = ["1"] if command[0] in ("promote", "pin") else []
    done = runs.cusp(*command, "twin", *more)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for said in (runs.one, runs.other, "project sweep", "running"):
        assert said in done.stderr, done.stderr
    assert re.search(r"just now|ago", done.stderr)
    for run_id in (runs.one, runs.other):
        assert runs.client.get(f"/runs/{run_id}").json()["commands"] == []


def test_the_oldest_run_is_found_by_id_part_and_name(runs: Runs) -> None:
    runs.send(runs.old, point(1), checkpoint(1))
    for text in (runs.old, runs.old.lower(), runs.old[-10:], "old"):
        done = runs.cusp("show", text, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["id"] == runs.old
    assert "now points at step 1" in runs.cusp("promote", "old", "1").stdout
    assert "is open" in runs.cusp("stop", "old").stdout


def test_a_name_that_is_not_there_is_answered_with_near_ones(runs: Runs) -> None:
    done = runs.cusp("show", "sed-519")
    assert done.returncode == 2
    assert "no run is called 'sed-519'" in done.stderr
    assert "seed-519" in done.stderr
    for text in ("", " ", "x" * 300, "no-such-thing", "%", "../etc"):
        done = runs.cusp("stop", text)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def test_the_list_says_that_it_is_cut_and_leads_on(runs: Runs) -> None:
    first = runs.cusp("runs", "--limit", "5", "--q", "seed", "--project", "sweep")
    assert "runs 1-5 of 520" in first.stdout
    line = next(one for one in first.stdout.splitlines() if one.startswith("older: cusp "))
    second = runs.cusp(*line.removeprefix("older: cusp ").split())
    assert "runs 6-10 of 520" in second.stdout
    whole = json.loads(runs.cusp("runs", "--json", "--limit", "2").stdout)
    assert (len(whole["runs"]), whole["total"] >= COUNT, bool(whole["next"])) == (2, True, True)
    wrong = runs.cusp("runs", "--status", "dead")
    assert (wrong.returncode, "status" in wrong.stderr) == (2, True)


def test_deleted_runs_are_asked_about_alike(runs: Runs) -> None:
    gone = [runs.add("doomed") for _ in range(2)]
    for run_id in gone:
        runs.send(run_id, status("finished"))
        assert runs.cusp("runs", "delete", run_id).returncode == 0
    for command in ("restore", "purge"):
        done = runs.cusp("runs", command, "doomed")
        assert done.returncode == 2
        assert all(run_id in done.stderr for run_id in gone)
    hint = runs.cusp("show", gone[0])
    assert f"cusp runs restore {gone[0]}" in hint.stderr
    assert "is back" in runs.cusp("runs", "restore", gone[0]).stdout
    assert "gone for good" in runs.cusp("runs", "purge", "doomed").stdout
