"""A run is renamed, tagged and annotated, over REST and in the terminal; it is found by the new words."""

import subprocess
import sys

from fastapi.testclient import TestClient

from tests.conftest import MonitorProcess
from tests.messages import Trainer, point


def test_a_run_is_named_tagged_and_annotated_and_a_resume_keeps_it(api: TestClient) -> None:
    trainer = Trainer(api, name="seed-1", tags=["old"])
    path = f"/api/v1/runs/{trainer.run_id}"
    before = trainer.get()["cursor"]
    told = {"name": "the <one>", "tags": ["keep", "Ü", "keep"], "notes": "lr was *too* high"}
    changed = api.patch(path, json=told).raise_for_status().json()
    assert (changed["name"], changed["tags"]) == ("the <one>", ["keep", "Ü"])
    assert changed["notes"] == "lr was *too* high"
    assert changed["cursor"] > before  # pages hear of it
    for text, count in {"ü": 1, "<one>": 1, "seed-1": 0, "old": 0}.items():
        assert api.get("/api/v1/runs", params={"q": text}).json()["total"] == count, text
    again = Trainer(api, trainer.run_id, name="seed-1", tags=["old"])
    again.send(point(1))
    assert again.get()["name"] == "the <one>"
    assert again.get()["notes"] == "lr was *too* high"
    act = next(a for a in trainer.get("/audit")["audit"] if a["action"] == "edit")
    assert act["detail"]["before"] == {"name": "seed-1", "tags": ["old"], "notes": None}
    assert api.patch(path, json={"notes": "", "tags": []}).json()["notes"] is None
    acts = len(trainer.get("/audit")["audit"])
    assert api.patch(path, json={"notes": "", "name": "the <one>"}).status_code == 200
    assert len(trainer.get("/audit")["audit"]) == acts  # nothing changed: no act


def test_what_is_no_name_is_refused(api: TestClient) -> None:
    path = f"/api/v1/runs/{Trainer(api, name='n').run_id}"
    for wrong in (
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\0b"},
        {"tags": [""]},
        {"tags": ["x"] * 33},
        {"notes": "x" * 40_000},
        {"label": "x"},
    ):
        assert api.patch(path, json=wrong).status_code == 422, wrong
    assert api.get(path).json()["name"] == "n"


def test_cusp_edit_adds_and_takes_tags_off(monitor_process: MonitorProcess) -> None:
    monitor_process.start()
    with monitor_process.client() as client:
        trainer = Trainer(client, name="tiny", tags=["a", "b"])  # type: ignore[arg-type]

    def edit(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cusp", "edit", "tiny", *options],
            env={"CUSP_URL": monitor_process.url, "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert edit().returncode == 2
    done = edit("--tag", "c", "--untag", "a", "--note", "look [again]")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tiny, tags b, c\nlook [again]\n"
    assert monitor_process.get(f"/runs/{trainer.run_id}")["tags"] == ["b", "c"]
