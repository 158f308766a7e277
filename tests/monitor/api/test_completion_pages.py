"""The pages of samples and of differing problems: filters, paging, comparison, and what is refused."""

import pytest
from fastapi.testclient import TestClient

from tests.browser.evaluated_run import send
from tests.messages import Trainer, point
from tests.monitor.api.routes.scores.test_differences import evaluated, texts
from tests.monitor.api.routes.scores.test_differences import post as bring
from tests.webui.markup import Page


def sampled(api: TestClient, count: int = 60) -> Trainer:
    """A run with one sample a step, whose reward is the step in percent."""
    trainer = Trainer(api)
    trainer.send(
        *[
            {"kind": "sample", "step": step, "prompt": "2+2", "completion": f"it is {step}"}
            | {"rewards": {"format": step / 100}}
            for step in range(count)
        ]
    )
    return trainer


def shown(api: TestClient, trainer: Trainer, path: str, **query: object) -> Page:
    answer = api.get(f"/runs/{trainer.run_id}{path}", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def completions(page: Page) -> list[str]:
    return [each.text for each in page.all("pre", aria_label="Completion")]


def test_pages_of_samples_lead_through_all_that_are_stored(api: TestClient) -> None:
    trainer = sampled(api)
    seen = [text for n in range(7) for text in completions(shown(api, trainer, "/samples", page=n))]
    assert seen == [f"it is {step}" for step in reversed(range(60))]
    assert "60 completions" in shown(api, trainer, "/samples").text


def test_a_filter_is_kept_by_the_links_and_by_the_comparison(api: TestClient) -> None:
    trainer = sampled(api)
    asked = {"first": "5", "last": "", "reward": "format", "least": "", "most": "0.3"}
    page = shown(api, trainer, "/samples", **asked)
    assert completions(page)[0] == "it is 30"
    (on,) = page.all("a", rel="next")
    assert on.attributes["href"].endswith("?first=5&reward=format&most=0.3&page=1")
    hidden = {e.attributes["name"]: e.attributes["value"] for e in page.all("input", type="hidden")}
    assert hidden == {"first": "5", "reward": "format", "most": "0.3"}


def test_two_ticked_samples_are_compared_word_by_word(api: TestClient) -> None:
    trainer = sampled(api, 3)
    keys = [
        e.attributes["value"] for e in shown(api, trainer, "/samples").all("input", name="compare")
    ]
    page = shown(api, trainer, "/samples", compare=keys[:2])
    assert [e.text for e in page.all("del")] == ["2"]
    assert [e.text for e in page.all("ins")] == ["1"]


@pytest.mark.parametrize("compare", [[], ["1.1"], ["9.9", "8.8"]])
def test_fewer_than_two_samples_are_not_compared(api: TestClient, compare: list[str]) -> None:
    trainer = sampled(api, 2)
    page = shown(api, trainer, "/samples", compare=compare)
    assert not [e for e in page.elements if e.attributes.get("id") == "compared"]


@pytest.mark.parametrize("query", ["compare=1", "page=-1", "least=nan", "first=x"])
def test_what_is_no_query_is_refused(api: TestClient, query: str) -> None:
    trainer = sampled(api, 1)
    assert api.get(f"/runs/{trainer.run_id}/samples?{query}").status_code == 422


def test_rest_gives_the_same_samples_and_how_many_there_are(api: TestClient) -> None:
    trainer = sampled(api)
    found = trainer.get("/samples", reward="format", least=0.1, most=0.29, limit=5, offset=10)
    assert found["total"] == 20
    assert [each["step"] for each in found["samples"]] == [19, 18, 17, 16, 15]
    assert {each["attempt"] for each in found["samples"]} == {1}
    assert [each["step"] for each in trainer.get("/samples", step=7)["samples"]] == [7]


def test_the_runs_page_shows_the_samples_nearest_to_the_transition(api: TestClient) -> None:
    trainer = send(api)
    step = trainer.get()["transition"]["step"]
    text = api.get(f"/runs/{trainer.run_id}/sections/samples").text
    page = Page(text)
    steps = [int(e.text.split()[1]) for e in page.all("summary") if e.text.startswith("Step")]
    assert len(steps) == 6
    assert all(abs(each - step) <= 40 for each in steps)
    assert {each < step for each in steps} == {True, False}
    assert page.by_id("h-samples").text == "Samples 80"


def test_problems_that_differ_stand_side_by_side_with_their_answers_marked(api: TestClient) -> None:
    trainer, job = evaluated(api)
    problem = {"problem_id": "p1", "question": "2 + 2?", "gold": "4"}
    bring(api, job, "/problems", {"task": "tiny-arithmetic", "problems": [problem]})
    for step, answer in ((10, "4"), (20, "5")):
        rows: list[list[object]] = [
            ["p1", n, f"It is \\boxed{{{answer}}}.", answer] for n in (0, 1)
        ]
        bring(api, job, "/evaluations/texts", texts(step, *rows))
    page = shown(api, trainer, "/differences", first=10, second=20)
    assert "Of 3 problems of tiny-arithmetic (report set), step 10 is better on 1" in page.text
    boxes = [e.text for e in page.all("mark", class_="k-box")]
    assert boxes == [
        "4",
        "4",
        r"\boxed{4}",
        "4",
        r"\boxed{4}",
        "5",
        r"\boxed{5}",
        "5",
        r"\boxed{5}",
    ]
    assert "Its text is not stored." in page.text  # p2 has none
    assert "2 + 2?" in page.text
    assert page.all("del") == []
    marked = shown(api, trainer, "/differences", first=10, second=20, diff=1)
    assert [e.text for e in marked.all("ins")] == ["5", "5"]


def test_without_a_choice_the_reference_is_compared_with_the_last_candidate(
    api: TestClient,
) -> None:
    trainer = send(api)
    page = shown(api, trainer, "/differences", task="math500")
    chosen = [e.text for e in page.all("option") if "selected" in e.attributes]
    assert chosen[:3] == ["step 450", "step 800", "math500"]
    assert len(page.all("article")) == 10
    on = page.all("a", rel="next")[0].attributes["href"]
    more = Page(api.get(on).raise_for_status().text)
    first, second = ([e.text for e in one.all("h2")] for one in (page, more))
    assert len(second) == 10
    assert not set(first) & set(second)


def test_checkpoints_without_rows_are_refused_in_a_sentence_that_names_those_that_have_some(
    api: TestClient,
) -> None:
    trainer, _ = evaluated(api)
    page = shown(api, trainer, "/differences", first=10, second=30)
    assert "there are tiny-arithmetic: steps 10, 20" in page.text
    bare = Trainer(api)
    bare.send(point(1))
    assert "Fewer than two checkpoints" in shown(api, bare, "/differences").text


def test_a_comparison_of_names_that_cannot_be_stored_is_refused(api: TestClient) -> None:
    for address in ("/compare?metric=%00", "/compare?group=%00", "/compare/report?group=%00"):
        assert api.get(address).status_code == 422, address
