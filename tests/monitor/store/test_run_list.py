"""The list of runs: pages, search and filters by the server, on both databases."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.ids import id_of, new_id
from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint, point, status
from tests.statements import statements_of

SOME_ID = id_of(bytes(range(16)))


def listed(api: TestClient, **query: object) -> Json:
    answer = api.get("/api/v1/runs", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def names(answer: Json) -> list[str]:
    return [run["name"] for run in answer["runs"]]


def some_runs(api: TestClient, clock: Clock, count: int, **start: Any) -> list[Trainer]:
    """Announce so many runs, every third of them in the same instant as the one before."""
    made = []
    for number in range(count):
        clock.now += number % 3 > 0
        made.append(Trainer(api, **{"name": f"seed-{number}", **start}))
    return made


def test_every_run_is_on_one_page_whatever_is_announced_meanwhile(
    api: TestClient, clock: Clock
) -> None:
    wanted = {trainer.run_id for trainer in some_runs(api, clock, 23)}
    seen: list[str] = []
    page = listed(api, limit=5)
    while True:
        assert page["first"] + len(page["runs"]) <= page["total"]
        seen += [run["id"] for run in page["runs"]]
        some_runs(api, clock, 2, name="newcomer")
        if page["next"] is None:
            break
        page = listed(api, limit=5, before=page["next"])
    assert len(seen) == len(set(seen)) == 23
    assert set(seen) == wanted
    whole = listed(api, limit=500)
    assert (whole["total"], whole["first"], whole["next"]) == (len(whole["runs"]), 0, None)


def test_runs_are_found_by_words_of_name_project_tags_and_by_the_beginning_of_the_id(
    api: TestClient, clock: Clock
) -> None:
    Trainer(api, name="Übung 1", project="tina", tags=["lora", "100%_sure"])
    Trainer(api, name="other", project="Straße", tags=["größe"])
    third = Trainer(api, name="x_y", project="p")
    for text, found in {
        "übung": ["Übung 1"],
        "tina LORA": ["Übung 1"],
        "lora other": [],
        "STRASSE": ["other"],
        "GRÖSSE": ["other"],
        "%_s": ["Übung 1"],
        "_": ["x_y", "Übung 1"],
        "%": ["Übung 1"],
        third.run_id[:24].lower(): ["x_y"],
        "": ["x_y", "other", "Übung 1"],
    }.items():
        assert sorted(names(listed(api, q=text))) == sorted(found), text
        assert listed(api, q=text)["total"] == len(found)


def test_a_run_is_meant_by_its_id_a_part_of_it_or_its_whole_name(
    api: TestClient, clock: Clock
) -> None:
    for number in range(30):
        Trainer(api, name="same" if number % 2 else f"n-{number}")
    one = Trainer(api, name="n")
    for text in (one.run_id, one.run_id.lower(), one.run_id[-9:], "n"):
        answer = listed(api, ref=text, limit=1)
        assert (answer["total"], answer["runs"][0]["id"]) == (1, one.run_id), text
    assert listed(api, ref="same", limit=3)["total"] == 15
    assert listed(api, name="same")["total"] == 15
    assert listed(api, name="sam")["total"] == listed(api, ref="sam")["total"] == 0


def test_a_status_is_filtered_by_what_is_shown(api: TestClient, clock: Clock) -> None:
    made = {name: Trainer(api, name=name) for name in ("lost", "running", "stopping", "finished")}
    made["finished"].send(status("finished"))
    clock.now += 100
    for name in ("running", "stopping"):
        made[name].send(point(1))
    api.post(f"/api/v1/runs/{made['stopping'].run_id}/stop")
    for name in made:
        answer = listed(api, status=name)
        assert names(answer) == [name]
        assert (answer["total"], answer["runs"][0]["status"]) == (1, name)
    assert listed(api, status="failed")["total"] == 0
    refused = api.get("/api/v1/runs", params={"status": "dead"})
    assert (refused.status_code, "'finished'" in refused.text) == (422, True)


def test_deleted_runs_are_paged_and_found_alike(api: TestClient, clock: Clock) -> None:
    made = some_runs(api, clock, 7)
    for trainer in made:
        trainer.send(checkpoint(1), status("finished"))
        clock.now += 1
        assert api.delete(f"/api/v1/runs/{trainer.run_id}").status_code == 200
    seen: list[str] = []
    query: dict[str, object] = {"limit": 3}
    while True:
        answer = api.get("/api/v1/deleted-runs", params=query).json()  # type: ignore[arg-type]
        assert answer["total"] == 7
        seen += [run["run_id"] for run in answer["deleted_runs"]]
        assert all(run["remains"]["checkpoints"] == 1 for run in answer["deleted_runs"])
        if not answer["next"]:
            break
        query["before"] = answer["next"]
    assert seen == [trainer.run_id for trainer in reversed(made)]
    one = api.get("/api/v1/deleted-runs", params={"ref": "seed-3"}).json()
    assert [run["run_id"] for run in one["deleted_runs"]] == [made[3].run_id]
    assert listed(api)["total"] == 0


@pytest.mark.parametrize("before", ["x", "1_2", f"nan_{SOME_ID}", f"1e9_{SOME_ID}", "", "1.5_"])
def test_a_place_that_is_none_is_refused_with_its_name(api: TestClient, before: str) -> None:
    answer = api.get("/api/v1/runs", params={"before": before})
    assert (answer.status_code, "before" in answer.json()["detail"]) == (422, True)


def test_an_unknown_parameter_of_any_route_is_refused_with_those_it_knows(
    api: TestClient,
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), checkpoint(1))
    paths = api.get("/openapi.json").json()["paths"]
    tried = 0
    for path, operations in paths.items():
        for method in operations:
            filled = path.replace("{run_id}", trainer.run_id)
            while "{" in filled:
                filled = filled[: filled.index("{")] + new_id() + filled[filled.index("}") + 1 :]
            answer = api.request(method.upper(), filled, params={"surprise": "1"})
            assert answer.status_code == 422, (method, path, answer.text)
            assert "surprise" in answer.json()["detail"], (method, path)
            tried += 1
    assert tried > 40
    for page in ("/", f"/runs/{trainer.run_id}", "/login", "/static/js/runs.js"):
        assert api.get(page, params={"utm_source": "mail"}).status_code == 200, page
    detail = api.get("/api/v1/runs", params={"projekt": "a"}).json()["detail"]
    assert "did you mean 'project'?" in detail
    assert "before, config, limit, name, project, q, ref, skip, sort, status" in detail


def test_a_list_of_many_runs_takes_few_statements(
    api: TestClient, clock: Clock, database_url: str
) -> None:
    for trainer in some_runs(api, clock, 30):
        trainer.send(
            *(point(s, format_reward=0.5, completion_length=9.0, reward=1.0) for s in range(5)),
            checkpoint(3),
        )
        checkpoint_id = trainer.get("/checkpoints")["checkpoints"][0]["id"]
        api.post(f"/api/v1/checkpoints/{checkpoint_id}/promote", json={})
        api.post(f"/api/v1/runs/{trainer.run_id}/stop")
    before, ids = listed(api, limit=3)["next"], [run["id"] for run in listed(api, limit=30)["runs"]]
    table = api.app.state.service.summaries_of  # type: ignore[attr-defined]
    for most, ask in (
        (12, lambda: listed(api, limit=30)),
        (12, lambda: listed(api, limit=7, q="seed", status="stopping", before=before)),
        (12, lambda: api.get("/").raise_for_status()),
        (12, lambda: api.get("/", params={"q": "seed", "before": before}).raise_for_status()),
        (9, lambda: table(ids)),
        (5, lambda: api.get("/api/v1/deleted-runs").raise_for_status()),
    ):
        told = statements_of(api, ask)
        assert 0 < len(told) <= most, told


def test_a_run_that_logs_every_tenth_step_has_a_sparkline_and_its_extremes(
    api: TestClient, clock: Clock
) -> None:
    trainer = Trainer(api)
    values = [0.5 + (step % 70) / 1_000 for step in range(10, 4_000, 10)]
    values[-40], values[-20] = 9.0, -9.0
    trainer.send(
        *(
            point(step, format_reward=v)
            for step, v in zip(range(10, 4_000, 10), values, strict=True)
        )
    )
    (run,) = listed(api)["runs"]
    line = run["sparklines"]["format_reward"]
    assert 30 <= len(line) <= 70
    assert (max(line), min(line), line[-1]) == (9.0, -9.0, values[-1])
    assert run["latest"]["format_reward"] == values[-1]


def test_a_sparkline_is_of_what_counts_after_a_resume(api: TestClient, clock: Clock) -> None:
    first = Trainer(api)
    first.send(*(point(step, format_reward=1.0) for step in range(0, 3_000, 10)))
    clock.now += 5
    again = Trainer(api, first.run_id)
    again.send(point(105, format_reward=0.25), point(115, format_reward=0.125))
    run = listed(api)["runs"][0]
    assert run["sparklines"]["format_reward"] == [1.0] * 11 + [0.25, 0.125]
    assert run["latest"]["format_reward"] == 0.125


def test_a_link_that_was_cut_and_an_unknown_status_are_told_in_words(api: TestClient) -> None:
    browser = {"Accept": "text/html"}
    cut = api.get(f"/runs/{new_id()[:-3]}", headers=browser)
    assert cut.status_code == 404
    assert "there is no run" in cut.text
    assert "pattern" not in cut.text
    status = api.get("/?status=gone", headers=browser)
    assert status.status_code == 422
    assert "query.status: Input should be" in status.text
    assert "literal[" not in status.text
    assert api.get("/api/v1/runs/01J", headers=browser).status_code == 422
