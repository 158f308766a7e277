"""Columns of the runs table: stored values, order, groups, on both databases; a page that nothing happened to."""

import pytest
from fastapi.testclient import TestClient

from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint, point, status
from tests.monitor.api.routes.scores.test_posted import post, rows
from tests.monitor.store.test_run_list import listed, names


def summarised(api: TestClient) -> None:
    """Do what the monitor's thread does every two seconds."""
    api.app.state.service.values.turn()  # type: ignore[attr-defined]


def order(api: TestClient, sort: str, **more: object) -> list[str]:
    return names(listed(api, sort=sort, **more))


def test_runs_are_sorted_by_a_metric_and_those_without_it_come_last(api: TestClient) -> None:
    for name, values in {"a": [1.0, 9.0, 2.0], "b": [3.0, 4.0], "c": []}.items():
        trainer = Trainer(api, name=name)
        trainer.send(*(point(step, kl=value) for step, value in enumerate(values, 1)))
    summarised(api)
    assert order(api, "-last:kl") == ["b", "a", "c"]
    assert order(api, "last:kl") == ["a", "b", "c"]
    assert order(api, "-max:kl") == ["a", "b", "c"]
    assert order(api, "-min:kl") == ["b", "a", "c"]
    assert order(api, "-max:kl", limit=1, skip=1) == ["b"]
    assert api.get("/api/v1/runs", params={"sort": "nothing"}).status_code == 422


def test_stored_values_are_those_that_count_of_roles_too_and_follow_a_resume(
    api: TestClient,
) -> None:
    trainer = Trainer(api, name="a")
    two = {"rewards/format_a/mean": 0.25, "rewards/format_b/mean": 0.5}
    trainer.send(*(point(step, kl=float(step), **two) for step in range(1, 11)))
    summarised(api)
    again = Trainer(api, trainer.run_id, name="a")
    again.send(*(point(step, kl=0.5, **two) for step in range(6, 9)))
    summarised(api)
    other = Trainer(api, name="b")
    other.send(point(1, kl=5.5))
    summarised(api)
    assert order(api, "-max:kl") == ["b", "a"]  # 6 to 10 were superseded: the greatest is 5
    assert order(api, "last:kl") == ["a", "b"]
    page = api.get("/", params={"column": ["max:kl", "last:format_reward"]}).text
    assert 'data-x="max:kl">5.00<' in page
    format_reward = next(
        s for s in trainer.get("/series")["series"] if s["name"] == "format_reward"
    )
    assert f'data-x="last:format_reward">{format_reward["values"][-1]:.3f}<' in page
    again.send(point(9, kl=7.0), status("finished"))
    summarised(api)
    assert order(api, "-max:kl") == ["a", "b"]


def test_values_superseded_after_the_new_attempt_was_summarised_do_not_count(
    api: TestClient,
) -> None:
    first = Trainer(api, name="a")
    first.send(*(point(step, kl=99.0 if step == 290 else 1.0) for step in range(1, 301)))
    summarised(api)
    again = Trainer(api, first.run_id, name="a")
    summarised(api)
    again.send(*(point(step, kl=2.0) for step in range(220, 420)))
    summarised(api)
    assert 'data-x="max:kl">2.00<' in api.get("/", params={"column": "max:kl"}).text


def test_configuration_keys_sort_by_size_filter_and_group(api: TestClient, clock: Clock) -> None:
    for name, lr in {"a": 1e-5, "b": 2, "c": 10, "d": "auto", "e": None, "f": 10}.items():
        clock.now += 1
        config = {"optim": {"lr": lr}, "dotted.key": name}
        Trainer(api, name=name, config=config).send(point(1, kl=float(ord(name))))
    summarised(api)
    assert order(api, "config:optim.lr") == ["a", "b", "f", "c", "d", "e"]
    assert order(api, "-config:dotted.key") == ["f", "e", "d", "c", "b", "a"]
    assert names(listed(api, config="optim.lr=10")) == ["f", "c"]
    assert names(listed(api, config=["optim.lr=10", "dotted.key=c"])) == ["c"]
    page = api.get("/", params={"group": "optim.lr", "column": "last:kl"}).text
    assert "100 <span" in page.replace("\n", "")  # the mean of 99 and 102, three digits
    assert page.index("not set") > page.index(">auto<") > page.index("optim.lr%3D10")
    known = api.get("/api/v1/run-columns").json()
    assert known["metrics"] == ["kl"]
    assert {"optim.lr", "dotted.key"} <= set(known["config"])
    for empty in ("optim.", "a..b", ".", "a. .b"):  # PostgreSQL cannot read every path with one
        api.cookies.set("cusp_table", f"column=config:{empty}")
        assert order(api, f"config:{empty}"), empty
        assert listed(api, config=f"{empty}=1")["runs"] == [], empty
        assert api.get("/", params={"group": empty}).status_code == 200, empty
    api.cookies.clear()
    for wrong in ("config:a'b", 'config:a"b', "config:a{b}"):
        found = api.get("/api/v1/runs", params={"sort": wrong}).status_code
        assert found == (200 if "'" in wrong else 422), wrong


def test_a_configuration_value_is_found_as_the_pages_write_it(api: TestClient) -> None:
    values = {"lr": 1e-06, "bf16": True, "hash": "12e4567", "n": 10.0, "b": [0.9, 1]}
    Trainer(api, name="a", config={**values, "in": values})
    Trainer(api, name="b", config={"hash": "9", "lr": "1" * 400})
    found = ["lr=1e-06", "in.lr=0.000001", "bf16=true", "in.bf16=true", "hash=12e4567", "n=1e1"]
    found += ["b=[0.9, 1]", "in.b=[0.9, 1]"]
    for asked in found:
        assert names(listed(api, config=asked)) == ["a"], asked
    for asked in ("bf16=1", "in.bf16=True", "lr=1e999", "lr=2e-06", "hash=" + "9" * 199):
        assert names(listed(api, config=asked)) == [], asked
    assert order(api, "config:hash") == ["b", "a"]
    assert order(api, "config:lr") == ["a", "b"]
    assert ">1e-06<" in api.get("/", params={"group": "in.lr"}).text
    assert 'data-x="config:bf16">true<' in api.get("/", params={"column": "config:bf16"}).text


def test_the_fixed_columns_sort_too(api: TestClient, clock: Clock) -> None:
    for name, step in {"a": 5, "b": 50, "c": 20}.items():
        clock.now += 1
        trainer = Trainer(api, name=name, metadata={"max_steps": 100})
        trainer.send(point(step), status("stopped"))
    assert order(api, "-step") == ["b", "c", "a"]
    assert order(api, "saved") == ["b", "c", "a"]
    assert order(api, "-name") == ["c", "b", "a"]
    for column in (
        "created",
        "project",
        "status",
        "phase",
        "contact",
        "transition",
        "kept",
        "score",
    ):
        assert sorted(order(api, column)) == ["a", "b", "c"], column


def test_a_score_of_several_tasks_is_their_mean_wherever_it_stands(api: TestClient) -> None:
    for name, right in {"a": {"t1": 8, "t2": 2, "t3": 5}, "b": {"t1": 6, "t2": 6}}.items():
        trainer = Trainer(api, name=name, config={"group": name}, policy={"evaluate": "none"})
        trainer.send(point(20), checkpoint(10), checkpoint(20), status("finished"))
        ids = [row["id"] for row in trainer.get("/checkpoints")["checkpoints"]]
        for alias, one in zip(("pre-transition", "best"), ids, strict=True):
            body = {"alias": alias, "expected_current": None}
            assert api.post(f"/api/v1/checkpoints/{one}/promote", json=body).status_code == 200
        for step, all_right in ((10, 0), (20, 10), (10, None)):
            for task, number in right.items():
                post(api, trainer, step=step, task=task, rows=rows(all_right or number, 10, 1))
        shown = trainer.get()["score"]
        assert (shown["alias"], shown["step"]) == ("pre-transition", 10)
        assert (shown["task"], shown["n"]) == (f"mean of {len(right)} tasks", 10 * len(right))
        assert shown["pass_at_1"] == pytest.approx({"a": 0.5, "b": 0.6}[name])
        assert shown["low"] < shown["pass_at_1"] < shown["high"]
    assert order(api, "-score") == ["b", "a"]
    page = api.get("/", params={"group": "group"}).text
    assert "50.0" in page
    assert "60.0" in page


def test_a_page_that_nothing_happened_to_is_not_read_again(api: TestClient, clock: Clock) -> None:
    trainer = Trainer(api, name="a")
    first = api.get("/api/v1/runs")
    tag = {"If-None-Match": first.headers["etag"]}
    assert api.get("/api/v1/runs", headers=tag).status_code == 304
    assert f'data-tag="&#34;{first.headers["etag"].strip(chr(34))}&#34;"' in api.get("/").text
    trainer.send(point(1))
    changed: Json = api.get("/api/v1/runs", headers=tag).json()
    assert changed["runs"][0]["step"] == 1
    tag = {"If-None-Match": api.get("/api/v1/runs").headers["etag"]}
    clock.now += 10_000
    assert api.get("/api/v1/runs", headers=tag).json()["runs"][0]["status"] == "lost"
