"""A worker's texts and problems, and the problems on which two checkpoints differ."""

from fastapi.testclient import TestClient

from tests.messages import Json, Trainer
from tests.monitor.api.routes.test_jobs import claim, ended, scored


def evaluated(api: TestClient) -> tuple[Trainer, Json]:
    """A run of which steps 10 and 20 have rows: p1 is lost, p2 gained, p3 right in both."""
    trainer = ended(api)
    job = claim(api)
    assert job is not None
    by_step = {one["step"]: one for one in job["payload"]["candidates"]}
    for step, right in ((10, ("p1", "p3")), (20, ("p2", "p3"))):
        evaluation = scored(step, by_step[step]["checkpoint_id"], 2 / 3)
        evaluation["rows"] = [
            [name, sample, float(name in right), 12, "stop", 7]
            for name in ("p1", "p2", "p3")
            for sample in (0, 1)
        ]
        post(api, job, "/evaluations", {"evaluation": evaluation})
    return trainer, job


def post(api: TestClient, job: Json, path: str, body: Json, status: int = 200) -> Json:
    answer = api.post(f"/api/v1/jobs/{job['id']}{path}", json={"token": job["token"], **body})
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def texts(step: int, *rows: list[object]) -> Json:
    return {"step": step, "task": "tiny-arithmetic", "split": "report", "rows": list(rows)}


def test_problems_that_differ_are_shown_with_question_gold_and_both_texts(api: TestClient) -> None:
    trainer, job = evaluated(api)
    problems = [
        {"problem_id": name, "question": f"ask {name}", "gold": "4"} for name in ("p1", "p2")
    ]
    told = {"task": "tiny-arithmetic", "problems": problems}
    assert post(api, job, "/problems", told) == {"stored": 2}
    assert post(api, job, "/problems", told) == {"stored": 2}
    given = texts(10, ["p1", 0, "2+2 is 4", "4"], ["p1", 1, "five", None])
    assert post(api, job, "/evaluations/texts", given) == {"stored": 2, "left_out": 0}
    assert post(api, job, "/evaluations/texts", given) == {"stored": 0, "left_out": 0}
    found = trainer.get("/evaluations/differences", first=10, second=20)
    assert (found["compared"], found["first_better"], found["second_better"]) == (3, 1, 1)
    assert (found["task"], found["first"]["step"], found["second"]["step"]) == (
        "tiny-arithmetic",
        10,
        20,
    )
    lost, gained = found["problems"]
    assert (lost["problem_id"], lost["question"], lost["gold"]) == ("p1", "ask p1", "4")
    assert (lost["first"]["score"], lost["second"]["score"]) == (1.0, 0.0)
    assert [row["text"] for row in lost["first"]["samples"]] == ["2+2 is 4", "five"]
    assert [row["answer"] for row in lost["first"]["samples"]] == ["4", None]
    assert [row["text"] for row in lost["second"]["samples"]] == [None, None]
    assert (gained["problem_id"], found["next"]) == ("p2", None)


def test_a_page_of_problems_goes_on_where_the_one_before_ended(api: TestClient) -> None:
    trainer, _ = evaluated(api)
    ask = {"first": 20, "second": 10, "limit": 1, "samples": 1}
    first = trainer.get("/evaluations/differences", **ask)
    second = trainer.get("/evaluations/differences", **ask, after=first["next"])
    names = [one["problem_id"] for page in (first, second) for one in page["problems"]]
    assert (names, second["next"]) == (["p1", "p2"], None)
    assert len(first["problems"][0]["first"]["samples"]) == 1


def test_steps_without_rows_of_one_task_are_named(api: TestClient) -> None:
    trainer, _ = evaluated(api)
    answer = api.get(
        f"/api/v1/runs/{trainer.run_id}/evaluations/differences", params={"first": 10, "second": 30}
    )
    assert answer.status_code == 404
    assert "there are tiny-arithmetic: steps 10, 20" in answer.json()["detail"]


def test_rows_are_read_a_page_at_a_time(api: TestClient) -> None:
    trainer, job = evaluated(api)
    post(api, job, "/evaluations/texts", texts(20, ["p2", 1, "x" * 30_000, "y" * 3_000]))
    evaluation = next(
        one for one in trainer.get("/evaluations")["evaluations"] if one["step"] == 20
    )
    assert (evaluation["source"], evaluation["author"]) == ("worker", None)
    rows: list[Json] = []
    after: Json = {}
    while True:
        page = trainer.get(f"/evaluations/{evaluation['id']}/rows", limit=4, **after)
        rows += page["rows"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert [(row["problem_id"], row["sample"]) for row in rows] == [
        (name, sample) for name in ("p1", "p2", "p3") for sample in (0, 1)
    ]
    path = f"/api/v1/runs/{trainer.run_id}/evaluations/{evaluation['id']}/rows"
    assert api.get(path, params={"after": "32767:p1"}).json()["rows"][0]["problem_id"] == "p2"
    assert api.get(path, params={"after": "32768:p1"}).status_code == 422
    long = rows[3]
    assert len(long["text"]) <= 20_000
    assert "characters left out" in long["text"]
    assert len(long["answer"]) <= 2_000
    other = ended(api)
    answer = api.get(f"/api/v1/runs/{other.run_id}/evaluations/{evaluation['id']}/rows")
    assert answer.status_code == 404


def test_texts_that_a_spreadsheet_would_run_are_quoted_in_csv_only(api: TestClient) -> None:
    trainer, job = evaluated(api)
    post(api, job, "/evaluations/texts", texts(20, ["p2", 1, "=HYPERLINK(A1)", "-5"]))
    path = f"/api/v1/runs/{trainer.run_id}/evaluations/export"
    found = api.get(path, params={"format": "csv"}).text
    assert ",'-5,'=HYPERLINK(A1)\r\n" in found
    assert (
        '"answer": "-5", "text": "=HYPERLINK(A1)"' in api.get(path, params={"format": "jsonl"}).text
    )


def test_texts_of_scores_that_are_not_there_and_of_a_lost_job_are_refused(api: TestClient) -> None:
    _, job = evaluated(api)
    refused = post(api, job, "/evaluations/texts", texts(30, ["p1", 0, "x", None]), 409)
    assert "post these first" in refused["detail"]
    late = {**job, "token": job["token"] - 1}
    post(api, late, "/evaluations/texts", texts(10, ["p1", 0, "x", None]), 409)
    post(api, late, "/problems", {"task": "t", "problems": []}, 409)
