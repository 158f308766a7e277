"""Hostile JSON and hostile numbers: refused in a sentence or stored as they are, and readable after, never a 500.

The test client raises what the monitor fails on, so every request here also says: no defect.
"""

import gzip
import json
import math
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from cusp.protocol.fields import MAX_DEPTH
from cusp.run_config import storable_config
from monitor.app import create_app
from monitor.settings import MonitorConfig
from tests.messages import Json, Trainer, point

JSON = {"Content-Type": "application/json"}
METRICS = ("format_reward", "accuracy_reward", "completion_length", "entropy", "kl", "loss", "own")
READS = ("", "/series", "/series?max_points=10", "/verdicts", "/change-points", "/evaluations")


def posted(api: TestClient, path: str, body: str | bytes, **headers: str) -> Any:
    return api.post(path, content=body, headers={**JSON, **headers})


def batch(trainer: Trainer, *messages: str) -> str:
    """Return a body whose messages are JSON texts, sane or not."""
    head = json.dumps({"attempt_id": trainer.attempt_id, "first_seq": trainer.seq})
    return f'{head[:-1]},"messages":[{",".join(messages)}]}}'


def strict(text: str) -> None:
    """Fail on what Python reads and a browser does not: NaN, Infinity."""
    json.loads(text, parse_constant=lambda found: pytest.fail(f"{found} in {text[:200]}"))


def reads_well(trainer: Trainer) -> None:
    """Read everything of the run; every answer is strict JSON, and no picture has a broken number."""
    for path in READS:
        answer = trainer.api.get(f"/api/v1/runs/{trainer.run_id}{path}")
        assert answer.status_code == 200, (path, answer.text[:300])
        strict(answer.text)
    for path in (f"/runs/{trainer.run_id}", "/", f"/runs/{trainer.run_id}/sections/row"):
        answer = trainer.api.get(path)
        assert answer.status_code == 200, path
        for figure in re.findall(
            r'<script type="application/json"[^>]*>(.*?)</script>', answer.text
        ):
            strict(figure)
        broken = r'\b(?:points|d|x|cx|cy|width|data-v)="[^"]*\b(?:nan|inf)\b[^"]*"'
        assert re.findall(broken, answer.text) == []


def test_deep_nesting_is_refused_wherever_it_stands(api: TestClient) -> None:
    for depth in (500, 950, 200_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            nested_everywhere(api, opening * depth + "1" + closing * depth)


def nested_everywhere(api: TestClient, bomb: str) -> None:
    """Send it in every place that a nested value can have."""
    trainer = Trainer(api)
    start = {"run_id": new_id(), "attempt_id": new_id(), "name": "n"}
    inside = [
        f'{json.dumps(start)[:-1]},"{name}":{{"a":{bomb}}}}}' for name in ("config", "new", "tags")
    ]
    for body in (bomb, *inside):
        answer = posted(api, "/api/v1/runs", body)
        taken = (200,) if body is not bomb else ()  # without the bomb
        assert answer.status_code in (400, 422, *taken), answer.text[:200]
        assert len(answer.text) < 1_000  # nothing of the bomb is sent back
    assert posted(api, f"/api/v1/runs/{trainer.run_id}/stop", bomb).status_code in (400, 422)
    message = f'{{"kind":"sample","step":1,"prompt":{bomb},"completion":"c"}}'
    sent = posted(api, f"/api/v1/runs/{trainer.run_id}/batches", batch(trainer, message, bomb))
    assert sent.status_code in (200, 400)  # set aside, or no JSON that can be read
    assert trainer.get()["quarantined"] == (2 if sent.status_code == 200 else 0)
    reads_well(trainer)


def test_a_config_is_as_deep_as_can_be_read_back_and_no_deeper(api: TestClient) -> None:
    deepest: Json = {}
    for _ in range(MAX_DEPTH - 1):
        deepest = {"a": deepest}
    trainer = Trainer(api, config=deepest)
    assert trainer.get()["config"] == deepest
    reads_well(trainer)
    start = {**trainer.start, "run_id": new_id(), "attempt_id": new_id(), "config": {"a": deepest}}
    answer = api.post("/api/v1/runs", json=start)
    assert (answer.status_code, f"{MAX_DEPTH} deep" in answer.text) == (200, True)
    cut = api.get(f"/api/v1/runs/{start['run_id']}").json()
    assert cut["config"]["a"]["a"]
    assert "..." in json.dumps(cut["config"])
    assert f"{MAX_DEPTH} deep" in cut["left_out"]["start"][0]


def test_a_config_that_holds_itself_is_cut_by_the_client(api: TestClient) -> None:
    config: dict[str, Any] = {"lr": 1e-6}
    config["again"] = [config]
    stored = Trainer(api, config=storable_config(config)).get()["config"]
    assert stored == {"lr": 1e-6, "again": ["..."]}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[TestClient]:
    """A monitor for what never reaches a database."""
    config = MonitorConfig(str(tmp_path / "cusp.db"))
    with TestClient(create_app(config), base_url="http://127.0.0.1:8787") as client:
        yield client


@pytest.mark.parametrize("part", ["[],", '{"kind":"point","step":1,"metrics":{}},'])
def test_a_huge_array_is_refused_without_being_looked_at(plain: TestClient, part: str) -> None:
    api, trainer = plain, Trainer(plain)
    body = batch(trainer, part * (4_000_000 // len(part)) + "1")
    began = time.process_time()  # of a machine with other work, too
    answer = posted(api, f"/api/v1/runs/{trainer.run_id}/batches", body)
    assert (answer.status_code, "at most 5000" in answer.text) == (422, True)
    assert time.process_time() - began < 10
    assert trainer.get()["quarantined"] == 0


def test_an_object_of_countless_unknown_fields_is_refused_before_each_is_complained_of(
    plain: TestClient,
) -> None:
    trainer = Trainer(plain)
    many = ",".join(f'"{number}":0' for number in range(300_000))
    took_s = []
    for body, path in (
        (batch(trainer, "")[:-1] + f",{many}}}", f"/api/v1/runs/{trainer.run_id}/batches"),
        (f"{{{many}}}", "/api/v1/runs"),
        (f"{{{many}}}", "/api/v1/jobs/claim"),
    ):
        began = time.process_time()
        answer = posted(plain, path, body)
        took_s.append(time.process_time() - began)
        assert (answer.status_code, "there can be 100" in answer.text) == (422, True)
    began = time.process_time()
    json.loads(f"{{{many}}}")
    assert min(took_s) < 6 * (time.process_time() - began) + 0.1


def test_of_a_point_of_a_hundred_thousand_metrics_512_are_taken(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, **{f"m{number}": 1.0 for number in range(100_000)}), point(2, a=1.0))
    run = trainer.get()
    assert run["quarantined"] == 1
    assert len(json.dumps(run)) < 60_000
    names = [one["name"] for one in trainer.get("/series")["series"]]
    assert (len(names), "a" in names, "m0" in names) == (513, True, True)


def test_of_a_repeated_key_the_last_value_counts_everywhere(api: TestClient) -> None:
    """One parser reads a body, so no check can look at one value and the store at another."""
    trainer = Trainer(api)
    body = batch(
        trainer, '{"kind":"nonsense","kind":"point","step":1,"step":2,"metrics":{"a":1,"a":7}}'
    )
    sent = posted(api, f"/api/v1/runs/{trainer.run_id}/batches", body)
    assert sent.json()["next_seq"] == 1
    assert trainer.series("a") == ([2], [7.0])


def test_a_huge_text_is_set_aside_and_kept_short(api: TestClient) -> None:
    trainer = Trainer(api)
    long = "x" * 1_500_000
    trainer.send(
        {"kind": "sample", "step": 1, "prompt": long, "completion": "c"},
        {"kind": long},
        {"kind": "point", "step": 1, "metrics": {long: 1.0}},
        {"kind": "point", "step": 1, "metrics": {}, long: 1.0},
    )
    aside = api.get(f"/api/v1/runs/{trainer.run_id}/quarantine").text.splitlines()
    assert len(aside) == 3  # the unknown field is ignored, and counted by a name that is cut
    assert max(map(len, aside)) < 8_000
    assert len(trainer.get()["left_out"]["fields"]) == 1
    assert len(json.dumps(trainer.get())) < 20_000
    reads_well(trainer)


def test_a_packed_bomb_ends_at_the_limit_in_little_memory(plain: TestClient) -> None:
    api, trainer = plain, Trainer(plain)
    path = f"/api/v1/runs/{trainer.run_id}/batches"
    bomb = gzip.compress(b" " * (128 << 20), 9)
    tracemalloc.start()
    answer = posted(api, path, bomb, **{"Content-Encoding": "gzip"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 64 << 20
    twice = gzip.compress(gzip.compress(batch(trainer, "{}").encode()))
    for body in (twice, bomb[:1000], b"\x1f\x8b"):
        assert posted(api, path, body, **{"Content-Encoding": "gzip"}).status_code in (
            400,
            413,
            422,
        )


EXTREMES: dict[str, Callable[[int], float]] = {
    "the largest, turning its sign": lambda step: 1e308 if step % 2 else -1e308,
    "the largest": lambda step: 1.7e308,
    "the least": lambda step: 5e-324 * (step % 3),
    "an explosion": lambda step: 1e308 if step > 60 else 0.5 + 0.01 * (step % 3),
    "through all sizes": lambda step: 10.0 ** (5 * step - 300),
}
RANGES = [None, (-1e308, 1e308), (1, 0), (0, 5e-324)]


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_numbers_are_stored_and_neither_break_the_detector_nor_an_answer(
    api: TestClient, name: str
) -> None:
    for bounds in RANGES:
        spec = dict(zip(("low", "high"), bounds, strict=True)) if bounds else {}
        rewards = {"rewards": dict.fromkeys(METRICS[:2], spec)} if bounds else {}
        trainer = Trainer(api, metadata={"completion_limit_tokens": 2**53, **rewards})
        values = [EXTREMES[name](step) for step in range(1, 101)]
        trainer.send(*(point(i, **dict.fromkeys(METRICS, v)) for i, v in enumerate(values, 1)))
        trainer.send({"kind": "status", "status": "finished"})
        assert trainer.series("own")[1] == values
        reads_well(trainer)


def test_what_is_no_finite_number_costs_its_message_only(api: TestClient) -> None:
    numbers = ("NaN", "Infinity", "-Infinity", "1e400", "9" * 400)
    trainer = Trainer(api)
    bad = [f'{{"kind":"point","step":1,"metrics":{{"a":{number}}}}}' for number in numbers]
    body = batch(trainer, *bad, json.dumps(point(2, a=1.0)))
    sent = posted(api, f"/api/v1/runs/{trainer.run_id}/batches", body)
    assert sent.json()["next_seq"] == len(numbers) + 1
    assert trainer.series("a") == ([2], [1.0])
    assert trainer.get()["quarantined"] == len(numbers)
    reads_well(trainer)


def test_a_step_beyond_what_is_counted_costs_its_message_only(api: TestClient) -> None:
    steps: tuple[Any, ...] = (2**53 + 1, 2**63, 2**64, -1, 1e300, math.pi, True, "1")
    trainer = Trainer(api)
    for step in steps:
        trainer.send(
            {"kind": "point", "step": step, "metrics": {"a": 1.0}},
            {"kind": "sample", "step": step, "prompt": "p", "completion": "c"},
            {"kind": "boundary", "step": step},
        )
    trainer.send(point(2**53, a=1.0))
    assert trainer.get()["quarantined"] == 3 * len(steps)
    assert trainer.series("a") == ([2**53], [1.0])


def test_a_number_too_long_to_read_is_refused_in_a_sentence(api: TestClient) -> None:
    trainer = Trainer(api)
    body = batch(trainer, f'{{"kind":"point","step":{"9" * 100_000},"metrics":{{}}}}')
    answer = posted(api, f"/api/v1/runs/{trainer.run_id}/batches", body)
    assert answer.status_code in (400, 422)
    assert len(answer.text) < 1_000


def test_what_was_set_aside_does_not_slow_the_page_of_its_run(api: TestClient) -> None:
    few, many = Trainer(api), Trainer(api)
    few.send({"kind": "unheard of"}, point(1))
    for _ in range(24):
        many.send(*[{"kind": "unheard of", "text": "x" * 3_900}] * 50)
    many.send(point(1))
    found = many.get()
    assert (found["quarantined"], len(found["quarantine"])) == (1_200, 5)
    assert [one["seq"] for one in found["quarantine"]] == [1199, 1198, 1197, 1196, 1195]

    def took_s(trainer: Trainer) -> float:
        started = time.perf_counter()
        api.get(f"/runs/{trainer.run_id}/sections/header").raise_for_status()
        return time.perf_counter() - started

    assert min(took_s(many) for _ in range(10)) < 4 * min(took_s(few) for _ in range(10))
