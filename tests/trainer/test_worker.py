"""The worker against a monitor of a few lines: real HTTP, real checkpoints, real evaluations."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints.manifest import CheckpointError
from cusp.ids import new_id
from cusp.run_config import RECIPE_FILE
from tests.small import SMALL
from tests.waiting import wait_until
from trainer.box import Box
from trainer.evaluation.engines.transformers_engine import drawing, with_adapter
from trainer.evaluation.evaluate import rows_of
from trainer.evaluation.selection_set import selection_set
from trainer.jobs.asked_recipe import check_order
from trainer.jobs.client import Job, JobCancelled, JobLost, MonitorClient
from trainer.jobs.held.beat import Heartbeat
from trainer.jobs.held.last_lines import LastLines
from trainer.jobs.run_folder import verified
from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe, write_recipe
from trainer.train import train
from trainer.training.model import load_base
from trainer.verifiers import BoxedInteger
from trainer.worker import Worker

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours


class Monitor:
    """Hands out `jobs` and records what comes back; `answers` overrides the status of a path."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.answers: dict[str, list[int]] = {}
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.tokens: set[str | None] = set()
        self.cancelled_by: str | None = None
        self.pages: list[str] = []  # given in place of any answer, as a proxy does
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                monitor.tokens.add(self.headers["Authorization"])
                self.answer(*monitor.reply(self.path.removeprefix("/api/v1"), body))

            def do_GET(self) -> None:
                if statuses := monitor.answers.get(self.path.rpartition("/")[2]):
                    self.answer(statuses.pop(0), {"detail": "as the test wants it"})
                    return
                names = ("id", "kind", "run_id", "attempts", "submitted")
                waiting = [
                    {name: job[name] for name in names if name in job} for job in monitor.jobs
                ]
                self.answer(200, {"jobs": waiting})

            def answer(self, status: int, content: object) -> None:
                text = b"" if status == 204 else json.dumps(content).encode()
                if monitor.pages:
                    status, text = 200, monitor.pages.pop(0).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                """Not in the test's output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        if statuses := self.answers.get(path.rpartition("/")[2]):
            return statuses.pop(0), {"detail": "as the test wants it"}
        self.posts.append((path, body))
        if path == "/jobs/claim":
            fields = ("id", "kind", "run_id", "payload", "token", "attempt", "lease_s")
            return (200, _only(self.jobs.pop(0), fields)) if self.jobs else (204, None)
        return 200, {"lease_s": 60, "cancelled_by": self.cancelled_by}

    def posted(self, end: str) -> list[dict[str, Any]]:
        return [body for path, body in self.posts if path.endswith(end)]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def _only(job: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: job[name] for name in names}


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    monitor = Monitor()
    yield monitor
    monitor.close()


@pytest.fixture
def trained(small: Callable[..., Recipe], cusp_dir: Path) -> tuple[str, Path]:
    """A run on this box with checkpoints of step 2 and 4."""
    run_id = new_id()
    root = cusp_dir / "runs" / run_id
    train(small(), root, run_id=run_id, progress=lambda _: None)
    return run_id, root


def worker(monitor: Monitor, cusp_dir: Path, said: list[str]) -> Worker:
    stopping = threading.Event()
    client = MonitorClient(monitor.url, "secret", stopping)
    return Worker(client, cusp_dir, stopping, said.append, "test")


def job(run_id: str, root: Path, steps: tuple[int, ...] = (0, 2, 4)) -> dict[str, Any]:
    candidates = []
    for step, role in zip(steps, ("base", "pre-transition", "last"), strict=False):
        path = root / f"checkpoint-{step}"
        manifest = manifest_checkpoints.read_manifest(path) if step else None
        candidates.append(
            {
                "checkpoint_id": manifest.checkpoint_id if manifest else None,
                "roles": [role],
                "step": step,
                "path": path.name if manifest else None,
                "sha256": manifest.sha256 if manifest else None,
            }
        )
    payload = {
        "candidates": candidates,
        "reference_step": 2,
        "samples_per_problem": 2,
        "seed": 0,
    }
    names = {"id": new_id(), "run_id": run_id, "token": "t", "kind": "evaluate"}
    return {**names, "payload": payload, "attempt": 1, "lease_s": 60}


def test_every_candidate_is_scored_on_both_sets_and_compared(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path
) -> None:
    monitor.jobs.append(job(*trained))
    assert worker(monitor, cusp_dir, []).work(exit_when_idle=True) == 1
    found = [body["evaluation"] for body in monitor.posted("/evaluations")]
    assert [(each["step"], each["split"]) for each in found] == [
        (step, split) for split in ("selection", "report") for step in (0, 2, 4)
    ]
    report = found[4]
    assert report["task"] == "tiny-arithmetic"
    assert (report["n_problems"], report["n_samples"], report["errors"]) == (10, 20, 0)
    assert report["low"] <= report["pass_at_1"] <= report["high"]
    assert report["fixed_low"] <= report["pass_at_1"] <= report["fixed_high"]
    assert len(report["rows"]) == 20
    problem, sample, score, tokens, reason, seed = report["rows"][1]
    assert "+" in problem
    assert (sample, reason in ("stop", "length")) == (1, True)
    assert score in (0.0, 1.0)
    assert tokens >= 1
    assert 0 <= seed < 2**53
    texts = monitor.posted("/evaluations/texts")
    assert [(each["step"], each["split"]) for each in texts][4] == (2, "report")
    assert [row[:2] for row in texts[4]["rows"]] == [row[:2] for row in report["rows"]]
    assert all(isinstance(row[2], str) for row in texts[4]["rows"])
    problems = {each["problem_id"]: each for each in monitor.posted("/problems")[1]["problems"]}
    assert problem in problems
    assert problem.split("+")[0].strip() in problems[problem]["question"]
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "done"
    comparison = finish["result"]["comparison"]
    assert comparison["reference"] == {"role": "pre-transition", "step": 2}
    assert [row["step"] for row in comparison["rows"]] == [0, 4]
    assert {row["split"] for row in comparison["rows"]} == {"report"}
    assert monitor.tokens == {"Bearer secret"}


def test_what_can_be_found_is_told_before_anything_is_scored(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path
) -> None:
    said: list[str] = []
    monitor.jobs.append(job(*trained))
    worker(monitor, cusp_dir, said).work(once=True)
    plan = next(number for number, line in enumerate(said) if "4 times of 5" in line)
    assert plan < next(number for number, line in enumerate(said) if "pass@1" in line)
    assert (
        "tiny-arithmetic, 10 problems, 2 a problem, 2 candidates against the reference"
        in said[plan]
    )
    (finish,) = monitor.posted("/finish")
    assert 0 < finish["result"]["comparison"]["planned_mde"] < 1


def test_a_candidate_that_the_screen_finds_worse_is_scored_no_further(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten problems of an untrained model are too few for the screen, so its finding is put in its place."""
    monkeypatch.setattr("trainer.jobs.evaluate.dropped", lambda *_: {4})
    order = job(*trained)
    order["payload"]["screen"] = True
    monitor.jobs.append(order)
    worker(monitor, cusp_dir, []).work(once=True)
    found = [body["evaluation"] for body in monitor.posted("/evaluations")]
    assert [each["step"] for each in found if each["split"] == "report"] == [0, 2]
    (finish,) = monitor.posted("/finish")
    rows = {row["step"]: row["split"] for row in finish["result"]["comparison"]["rows"]}
    assert rows == {0: "report", 4: "selection"}


def test_a_job_done_twice_posts_the_same_evaluations_without_scoring_again(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = job(*trained)
    monitor.jobs.append(first)
    worker(monitor, cusp_dir, []).work(once=True)
    before = monitor.posted("/evaluations")
    monitor.jobs.append(first)
    monkeypatch.setattr(
        "trainer.jobs.bench.engine_of", lambda *_, **__: pytest.fail("generated again")
    )
    worker(monitor, cusp_dir, []).work(once=True)
    assert monitor.posted("/evaluations")[len(before) :] == before


def verify_job(run_id: str, root: Path, **more: Any) -> dict[str, Any]:
    """The newest checkpoint, of step 4, against that of step 2."""
    candidates = job(run_id, root, (2, 4))["payload"]["candidates"]
    payload = {"verification_id": new_id(), "step": 4, "candidates": candidates, **more}
    order = {"stages": [4, 8], "alpha": 0.01, "budget": 1_000, **payload}
    return {**job(run_id, root), "kind": "verify", "payload": order}


def test_a_verification_scores_the_same_problems_of_each_checkpoint_and_only_once(
    monitor: Monitor, trained: tuple[str, Path], small: Callable[..., Recipe], cusp_dir: Path
) -> None:
    monitor.jobs += [verify_job(*trained), verify_job(*trained, stages=[8], alpha=1e-9)]
    assert worker(monitor, cusp_dir, []).work(exit_when_idle=True) == 2
    first, second = [body["result"] for body in monitor.posted("/finish")]
    assert set(first["scores"]) == set(second["scores"]) == {"2", "4"}
    assert len(second["scores"]["4"]) == len(second["scores"]["2"]) == 8
    done = len(first["scores"]["4"])
    assert all(second["scores"][step][:done] == first["scores"][step] for step in ("2", "4"))
    assert (first["completions"], second["completions"]) == (2 * done, 16 - 2 * done)
    assert first["seconds"] > 0

    base, tokenizer = load_base(small(), cusp_dir / "cache", lambda _: None)
    model = with_adapter(base, trained[1] / "checkpoint-2")
    task = selection_set(small())
    draw = drawing(model, tokenizer)
    alone = rows_of(draw, lambda: tokenizer, task, BoxedInteger(), seed=small().seed)
    assert [row[2] for row in alone] == second["scores"]["2"]


def test_a_verification_on_a_gold_that_cannot_be_read_is_refused_before_it_generates(
    monitor: Monitor, trained: tuple[str, Path], small: Callable[..., Recipe], cusp_dir: Path
) -> None:
    run_id, root = trained
    for name, gold in (("selection", "seven"), ("report", "7")):
        line = {"id": name, "problem": "3+4", "solution": gold}
        (root / f"{name}.jsonl").write_text(json.dumps(line))
    paths = f"selection_path: {root}/selection.jsonl, report_path: {root}/report.jsonl"
    columns = "problem_column: problem, solution_column: solution, system_prompt: null"
    sampling = json.dumps(small().evaluation.sampling.model_dump())  # type: ignore[union-attr]
    section = f"{{kind: jsonl, task: mine, {paths}, {columns}, verifier: boxed_integer, sampling: {sampling}}}"
    write_recipe(small(f"evaluation={section}"), root / "recipe.yaml")
    monitor.jobs.append(verify_job(run_id, root))
    worker(monitor, cusp_dir, []).work(exit_when_idle=True)
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "failed"
    assert "1 of the 1 problems of mine have a gold answer that the verifier" in finish["error"]


def test_a_verification_goes_on_without_a_changed_checkpoint_and_not_without_an_earlier_one(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path
) -> None:
    run_id, root = trained
    order = verify_job(run_id, root)
    gone = {**order["payload"]["candidates"][0], "step": 3, "sha256": "0" * 64}
    three = [*order["payload"]["candidates"], gone]
    monitor.jobs += [
        {**order, "payload": {**order["payload"], "candidates": three}},
        {**order, "payload": {**order["payload"], "candidates": three[1:]}},
    ]
    worker(monitor, cusp_dir, []).work(exit_when_idle=True)
    whole, alone = monitor.posted("/finish")
    assert set(whole["result"]["scores"]) == {"2", "4"}
    assert alone["state"] == "failed"
    assert "too few are whole on this box to compare step 4 with an earlier one" in alone["error"]


def test_a_changed_checkpoint_is_left_out_and_named(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path
) -> None:
    run_id, root = trained
    monitor.jobs.append(job(run_id, root))
    weights = root / "checkpoint-4" / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    worker(monitor, cusp_dir, []).work(once=True)
    assert {body["evaluation"]["step"] for body in monitor.posted("/evaluations")} == {0, 2}
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "done"
    assert "Step 4 was left out" in finish["result"]["comparison"]["reason"]
    assert "has changed" in finish["result"]["comparison"]["reason"]


@pytest.mark.parametrize(
    "path", ["../../etc", "/etc", "checkpoint-2/../../x", "nothing-here", "checkpoint-2\0"]
)
def test_a_path_from_the_network_never_leads_out_of_the_runs_root(
    monitor: Monitor, small: Callable[..., Recipe], cusp_dir: Path, path: str
) -> None:
    from trainer.recipe_loader import write_recipe

    run_id = new_id()
    root = cusp_dir / "runs" / run_id
    root.mkdir(parents=True)
    write_recipe(small(), root / "recipe.yaml")
    order = job(run_id, root, steps=(0,))
    order["payload"]["candidates"] = [
        {"checkpoint_id": new_id(), "roles": [], "step": 2, "path": path, "sha256": "0" * 64}
    ]
    monitor.jobs.append(order)
    worker(monitor, cusp_dir, []).work(once=True)
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "failed"
    assert "Step 2 was left out" in finish["error"]


def test_a_job_of_a_run_that_is_not_on_this_box_is_left_to_others_and_said_once(
    monitor: Monitor, cusp_dir: Path
) -> None:
    cusp_dir.mkdir(exist_ok=True)
    elsewhere = job(new_id(), cusp_dir, steps=(0,))
    monitor.jobs.append(elsewhere)
    said: list[str] = []
    idle = worker(monitor, cusp_dir, said)
    assert [idle.work(exit_when_idle=True) for _ in range(3)] == [0, 0, 0]
    assert monitor.posts == []
    (sentence,) = said
    assert elsewhere["run_id"] in sentence
    assert "start a worker on the box that trained it, or set CUSP_DIR" in sentence


def submitted(recipe: str, *overrides: str, box: str | None = None, **more: Any) -> dict[str, Any]:
    order = {"recipe": recipe, "overrides": list(overrides), "box": box, "processes": None}
    fields = {"id": new_id(), "run_id": new_id(), "token": "t", "kind": "train", "attempts": 0}
    return {**fields, "submitted": order, "payload": order, "attempt": 1, "lease_s": 60, **more}


def test_a_new_training_of_another_box_or_recipe_or_begun_elsewhere_is_left_to_others(
    monitor: Monitor, cusp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_BOX", "here")
    monitor.jobs = [
        submitted("tiny", box="there"),
        submitted("unheard-of"),
        submitted("tiny", box="here", attempts=1),
    ]
    said: list[str] = []
    assert worker(monitor, cusp_dir, said).work(exit_when_idle=True) == 0
    assert (monitor.posts, said) == ([], [])


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (("tiny", "grpo.max_stops=3"), "max_stops"),
        (("tiny", "--resume=1"), "'--resume=1' is no override; use key=value"),
        (("tiny", "data.problems=many"), "data.problems"),
    ],
)
def test_overrides_that_the_recipe_refuses_fail_the_training_in_its_sentence(
    monitor: Monitor, cusp_dir: Path, order: tuple[str, ...], error: str
) -> None:
    asked = submitted(*order)
    monitor.jobs = [asked]
    assert worker(monitor, cusp_dir, []).work(once=True) == 1
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "failed"
    assert error in finish["error"]
    assert not (cusp_dir / "runs" / asked["run_id"]).exists()


@pytest.mark.parametrize("recipe", ["../../etc/passwd.yaml", "/tmp/mine.yaml", "tiny.yaml"])
def test_a_recipe_from_the_network_is_a_name_and_never_a_path(
    monitor: Monitor, cusp_dir: Path, recipe: str
) -> None:
    job = submitted(recipe)
    worker(monitor, cusp_dir, []).do(
        Job(job["id"], "train", job["run_id"], job["payload"], "t", 1, lease_s=60)
    )
    (finish,) = monitor.posted("/finish")
    assert f"this box has no recipe {recipe!r}; it has" in finish["error"]


SECRET = "the line of a file that nobody on the network may read"
OF_THIS_BOX = "names something of this box or its network"


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (("tiny", "model=@FILE"), "this box has no recipe"),
        (("tiny", "model=@FILE/paper"), "this box has no recipe"),
        (("tiny", "extends=[FILE]"), "unknown key 'extends'"),
        (("tina_limr", "data={kind: jsonl, path: FILE, ROWS}"), OF_THIS_BOX),
        (("tina_limr", "data.id=FOLDER"), OF_THIS_BOX),
        (("tina_limr", "data.id=trainer/recipes"), OF_THIS_BOX),
        (("tina_limr", "data.id=http://169.254.169.254/latest"), OF_THIS_BOX),
        (("tina_limr", "model.id=FOLDER"), OF_THIS_BOX),
        (("tina_limr", "model.id=../models"), OF_THIS_BOX),
        (("tina_limr", "model.id=~/models"), OF_THIS_BOX),
        (("tina_limr", "model.revision=../../FILE"), OF_THIS_BOX),
        (("smol", "evaluation={kind: jsonl, selection_path: FILE, report_path: FILE, EVAL}"), OF_THIS_BOX),
        (("smol", "data.tasks=[{name: spell_backward, weight: 1, config: {data_file: FILE}}]"), OF_THIS_BOX),
        (("smol", "data.tasks.0.config={datasets: [{name: x, config: {data_file: FILE}}]}"), OF_THIS_BOX),
        (("tiny", "grpo.vllm_server_base_url=http://169.254.169.254"), OF_THIS_BOX),
        (("tiny", "grpo.vllm_server_host=169.254.169.254"), OF_THIS_BOX),
        (("tina_open_rs3_long_completion", "grpo.vllm_server_port=22"), OF_THIS_BOX),
        (("tina_open_rs3_long_completion", "grpo.vllm_group_port=22"), OF_THIS_BOX),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_names_a_file_or_an_address_is_not_taken_from_the_network(
    monitor: Monitor, cusp_dir: Path, tmp_path: Path, order: tuple[str, ...], error: str
) -> None:
    file = tmp_path / "secret.yaml"
    file.write_text(f"{SECRET}\n")
    given = {
        "FILE": str(file),
        "FOLDER": str(tmp_path),
        "ROWS": "problem_column: p, solution_column: s, solution_in_dollars: false,"
        " system_prompt: null, max_prompt_tokens: null",
        "EVAL": "task: t, problem_column: p, solution_column: s, verifier: boxed_integer,"
        " system_prompt: null, sampling: {samples_per_problem: 1, max_new_tokens: 1,"
        " temperature: 1, top_p: 1, batch_size: 1}",
    }
    recipe, *overrides = order
    for name, value in given.items():
        overrides = [text.replace(name, value) for text in overrides]
    asked = submitted(recipe, *overrides)
    monitor.jobs = [asked]
    assert worker(monitor, cusp_dir, []).work(once=True) == 1
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "failed"
    assert error in finish["error"]
    assert SECRET not in finish["error"]
    assert not (cusp_dir / "runs" / asked["run_id"]).exists()


@pytest.mark.parametrize(
    ("recipe", "override"),
    [
        ("tina_limr", "data.id=GAIR/LIMO"),
        ("tina_limr", "model.id=gpt2"),
        ("tina_limr", "model.revision=refs/pr/1"),
        ("tina_limr", "grpo=@tina_open_rs3_long_completion"),
        ("tina_open_rs3_long_completion", "seed=1"),
        ("tiny", "model=@tiny_healthy"),
        ("smol", "data.tasks=[{name: spell_backward, weight: 1, config: {max_word_len: 5}}]"),
    ],
)
def test_names_of_the_hub_and_values_of_shipped_recipes_are_taken(
    recipe: str, override: str
) -> None:
    check_order(recipe, [override])


def test_a_training_whose_worker_was_killed_before_it_began_is_begun_by_another(
    monitor: Monitor, cusp_dir: Path
) -> None:
    asked = submitted("tiny", "grpo.max_stops=3", attempts=1)
    monitor.jobs = [asked]
    monitor.answers = {asked["run_id"]: [404]}  # the run was never announced
    assert worker(monitor, cusp_dir, []).work(once=True) == 1
    (finish,) = monitor.posted("/finish")
    assert "max_stops" in finish["error"]


def test_the_box_that_claimed_a_new_training_has_its_folder_at_once(
    monitor: Monitor, cusp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    asked = submitted("tiny")
    root = cusp_dir / "runs" / asked["run_id"]

    def killed(*_: object) -> int:
        seen.append(root.is_dir())
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.jobs.train.check", killed)
    monitor.jobs = [asked]
    with pytest.raises(KeyboardInterrupt):
        worker(monitor, cusp_dir, []).work(once=True)
    assert seen == [True]
    monitor.jobs = [{**asked, "attempts": 1}]
    monkeypatch.undo()
    claimed = worker(monitor, cusp_dir, [])._claimed()
    assert claimed is not None, "by this box, which has the folder"
    assert claimed.run_id == asked["run_id"]


def test_a_run_without_a_gpu_is_resumed_on_as_many_processes_as_its_own_recipe_says(
    monitor: Monitor, cusp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, used = new_id(), list[int]()
    root = cusp_dir / "runs" / run_id
    root.mkdir(parents=True)
    write_recipe(load_recipe("tiny", [*SMALL, "run.processes=2"]), root / RECIPE_FILE)

    def trained(_: Path, __: Job, processes: int, *more: object) -> int:
        used.append(processes)
        return 4

    monkeypatch.setattr("trainer.jobs.train.trained", trained)
    payload = {"step": None, "path": None, "sha256": None, "processes": 1}
    worker(monitor, cusp_dir, []).do(Job(new_id(), "train", run_id, payload, "t", 1, lease_s=60))
    assert used == [2]


def test_a_new_training_is_done_under_the_run_id_it_was_given(
    monitor: Monitor, cusp_dir: Path
) -> None:
    asked = submitted("tiny", *SMALL, "run.stop_at_step=2")
    monitor.jobs = [asked]
    assert worker(monitor, cusp_dir, []).work(once=True) == 1
    (finish,) = monitor.posted("/finish")
    assert (finish["state"], finish["result"]) == ("done", {"step": 2})
    assert (cusp_dir / "runs" / asked["run_id"] / "checkpoint-2").is_dir()


@pytest.mark.parametrize("kind", ["evaluate", "train", "verify"])
def test_a_claimed_job_of_another_run_than_was_asked_for_never_becomes_a_path(
    monitor: Monitor, cusp_dir: Path, kind: str
) -> None:
    outside = Job(new_id(), kind, "../elsewhere", {}, "t", 1, lease_s=60)
    for name in ("runs", "elsewhere"):
        (cusp_dir / name).mkdir(parents=True, exist_ok=True)
    worker(monitor, cusp_dir, []).do(outside)
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "failed"
    assert "run '../elsewhere' is not in" in finish["error"]


def test_a_run_without_a_recipe_fails_in_a_sentence(monitor: Monitor, cusp_dir: Path) -> None:
    run_id = new_id()
    (cusp_dir / "runs" / run_id).mkdir(parents=True)
    monitor.jobs.append(job(run_id, cusp_dir, steps=(0,)))
    worker(monitor, cusp_dir, []).work(once=True)
    (finish,) = monitor.posted("/finish")
    assert finish["state"] == "failed"
    assert "there is no recipe.yaml" in finish["error"]


def test_a_job_that_another_worker_has_is_dropped(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path
) -> None:
    monitor.answers["evaluations"] = [409]
    monitor.jobs.append(job(*trained))
    said: list[str] = []
    assert worker(monitor, cusp_dir, said).work(once=True) == 0
    assert monitor.posted("/finish") == []
    assert "dropped" in said[-1]


def test_a_cancelled_training_is_dropped_while_it_waits_for_the_box(
    monitor: Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_BOX_LOCK", "always")
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    held = Box(tmp_path, has_gpu=False).take("tests")
    assert held is not None
    monitor.answers["heartbeat"] = [409]
    monitor.jobs = [submitted("tiny", *SMALL, lease_s=0.3)]
    said: list[str] = []
    assert worker(monitor, tmp_path, said).work(once=True) == 0
    held.close()
    assert monitor.posted("/finish") == []
    assert "dropped: the job was lost" in said[-1]


def test_a_cancelled_training_is_dropped_with_its_process(monitor: Monitor, cusp_dir: Path) -> None:
    monitor.jobs = [submitted("tiny", *SMALL, "grpo.max_steps=100000", lease_s=0.3)]
    said: list[str] = []

    def cancel() -> None:
        wait_until(lambda: any("as process" in line for line in said), 60)
        monitor.answers["heartbeat"] = [409]

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    assert worker(monitor, cusp_dir, said).work(once=True) == 0
    cancelling.join()
    assert monitor.posted("/finish") == []
    assert "dropped: the job was lost" in said[-1]
    (line,) = (line for line in said if "as process" in line)
    process = int(line.partition("as process ")[2].partition(",")[0])
    assert not Path(f"/proc/{process}").exists()


def test_a_heartbeat_tells_progress_and_notices_a_lost_job(monitor: Monitor) -> None:
    stopping = threading.Event()
    client = MonitorClient(monitor.url, None, stopping)
    lease = Job(new_id(), "evaluate", new_id(), {}, "t", 1, lease_s=0.15)
    with Heartbeat(client, lease, stopping) as heartbeat:
        heartbeat.report(1, 4, "scoring step 10")
        # The first beat may be sent before there is any progress.
        wait_until(lambda: any("progress" in one for one in monitor.posted("/heartbeat")), 5)
        told = next(one for one in monitor.posted("/heartbeat") if "progress" in one)
        assert told["progress"] == {
            "done": 1, "total": 4, "text": "scoring step 10",
        }  # fmt: skip
        monitor.answers["heartbeat"] = [409]
        with pytest.raises(JobLost):
            report_for(5.0, heartbeat)
    client.close()


def test_a_cancelled_job_ends_with_what_it_wrote(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path
) -> None:
    monitor.cancelled_by = "anna"
    slow = job(*trained)
    slow["payload"]["samples_per_problem"] = 256
    monitor.jobs.append({**slow, "lease_s": 0.15})
    said: list[str] = []
    assert worker(monitor, cusp_dir, said).work(once=True) == 1
    (end,) = monitor.posted("/finish")
    assert (end["state"], end["error"]) == ("failed", "cancelled by anna")
    assert end["log"]["lines"][-1] == "cancelled by anna"
    assert end["log"]["total"] == len(end["log"]["lines"])
    assert any("checkpoints on" in line or "problems" in line for line in end["log"]["lines"])
    assert "failed: cancelled by anna" in said[-1]


def test_a_log_has_the_last_lines_and_the_warnings_of_libraries(monitor: Monitor) -> None:
    stopping = threading.Event()
    client = MonitorClient(monitor.url, None, stopping)
    lease = Job(new_id(), "evaluate", new_id(), {}, "t", 1, lease_s=0.15)
    with Heartbeat(client, lease, stopping) as heartbeat:
        said: list[str] = []
        heartbeat.logged(said.append)("one\ntwo")
        logging.getLogger("somebody's").warning("%s is odd", "x")
        heartbeat.lines.add("  3 %\r 50 %\r100 %")
        wait_until(lambda: any("log" in beat for beat in monitor.posted("/heartbeat")), 5)
        for n in range(300):
            heartbeat.lines.add(f"{n}\0" + "y" * 600)
    client.close()
    first = next(beat["log"] for beat in monitor.posted("/heartbeat") if "log" in beat)
    assert first == {"total": 4, "lines": ["one", "two", "warning: x is odd", "100 %"]}
    told = heartbeat.lines.told()
    assert told is not None
    assert (told["total"], len(told["lines"]), len(told["lines"][-1])) == (304, 200, 500)
    assert "\0" not in told["lines"][-1]


def test_a_log_neither_raises_into_a_library_nor_keeps_its_warnings_from_the_console(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Odd:
        def __str__(self) -> str:
            raise ValueError("no words")

    lines = LastLines()
    monkeypatch.setattr(logging.getLogger(), "handlers", [lines])  # pytest's own would take them
    somebody = logging.getLogger("somebody's other")
    somebody.warning("the %s are stored", "scores")
    somebody.warning("%d of %d", "x")
    somebody.warning("%s", Odd())
    console = capsys.readouterr().err
    assert console.startswith("the scores are stored\n")
    assert "TypeError: %d format" in console
    told = lines.told()
    assert told is not None
    unread = "warning: a message of somebody's other that cannot be read"
    assert told["lines"] == [
        "warning: the scores are stored", f"{unread} (TypeError)", f"{unread} (ValueError)",
    ]  # fmt: skip
    monkeypatch.setattr(somebody, "handlers", [logging.StreamHandler()])
    somebody.warning("once")
    assert capsys.readouterr().err == "once\n"


def test_a_monitor_in_trouble_is_asked_again(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path
) -> None:
    monitor.answers["finish"] = [503, 502]
    monitor.answers["claim"] = [500]
    monitor.jobs.append(job(*trained, steps=(0,)))
    assert worker(monitor, cusp_dir, []).work(once=True) == 1
    assert len(monitor.posted("/finish")) == 1


def test_a_page_of_a_proxy_is_no_answer_of_the_monitor(
    monitor: Monitor, trained: tuple[str, Path], cusp_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.pages = ["<html>", "[]"]
    monitor.jobs.append(job(*trained, steps=(0,)))
    assert worker(monitor, cusp_dir, []).work(once=True) == 1
    assert len(monitor.posted("/finish")) == 1
    (said,) = (each.getMessage() for each in caplog.records if "CUSP_URL" in each.getMessage())
    assert said.startswith(f"{monitor.url} answers '<html>' with 200, which is not the monitor's")


def test_a_heart_beats_on_after_a_page_and_after_a_fault_of_its_own(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopping = threading.Event()
    client = MonitorClient(monitor.url, None, stopping)
    lease = Job(new_id(), "evaluate", new_id(), {}, "t", 1, lease_s=0.15)
    monitor.pages = ["<html>", '"ok"']
    faults = iter([RecursionError("too deep"), KeyError("odd")])
    beat = client.heartbeat

    def faulty(*given: Any) -> str | None:
        for fault in faults:
            raise fault
        return beat(*given)

    monkeypatch.setattr(client, "heartbeat", faulty)
    with Heartbeat(client, lease, stopping) as heartbeat:
        wait_until(lambda: len(monitor.posted("/heartbeat")) > 3, 8)
        heartbeat.check()
        monitor.cancelled_by = "anna"
        with pytest.raises(JobCancelled):
            report_for(5.0, heartbeat)
    client.close()
    words = [each.getMessage() for each in caplog.records]
    assert [one for one in words if "a heartbeat of job" in one] == [
        f"a heartbeat of job {lease.id} failed: RecursionError('too deep')"
    ]


def test_a_stopping_worker_ends_although_the_monitor_is_down(cusp_dir: Path) -> None:
    stopping = threading.Event()
    client = MonitorClient("http://127.0.0.1:9", None, stopping)
    idle = Worker(client, cusp_dir, stopping, lambda _: None, "test")
    thread = threading.Thread(target=idle.work, daemon=True)
    thread.start()
    time.sleep(0.3)
    stopping.set()
    thread.join(5)
    assert not thread.is_alive()
    client.close()


def report_for(seconds: float, heartbeat: Heartbeat) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        heartbeat.report(2, 4, "scoring step 20")
        time.sleep(0.01)


def test_a_checkpoint_that_was_replaced_by_another_whole_one_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-10"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    registered = manifest_checkpoints.write_manifest(path, 10)
    assert verified(tmp_path, "checkpoint-10", registered.sha256) == path
    (path / "adapter_model.safetensors").write_bytes(b"others")
    assert manifest_checkpoints.write_manifest(path, 10) != registered
    with pytest.raises(CheckpointError, match="another checkpoint now"):
        verified(tmp_path, "checkpoint-10", registered.sha256)
