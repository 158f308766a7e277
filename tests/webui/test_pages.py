import re

import pytest

from tests.webui import shapes
from tests.webui.markup import Element, Page
from webui import compare, descriptions, pages, svg, table, templating
from webui.format import UNKNOWN
from webui.told import verdict_words

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


def whole_page(**changes: object) -> Page:
    return Page(pages.run_page(shapes.run(), **(shapes.page_data() | changes)))


def hostile_pages() -> list[str]:
    run = shapes.run(name=HOSTILE, project=HOSTILE, tags=[HOSTILE], status_reason=HOSTILE)
    run |= {"phase_description": HOSTILE, "config": {HOSTILE: HOSTILE}}
    run["commands"] = [shapes.command(reason=HOSTILE, author=HOSTILE, state_reason=HOSTILE)]
    data = shapes.page_data()
    data["series"] = [*data["series"], shapes.series(HOSTILE)]
    data["samples"] = shapes.samples(
        {"step": 3, "prompt": HOSTILE, "completion": HOSTILE, "rewards": {HOSTILE: 1.0}}
    )
    data["audit"] = [
        {
            "at": HOSTILE,
            "actor": HOSTILE,
            "action": HOSTILE,
            "target": HOSTILE,
            "detail": {"a": HOSTILE},
        }
    ]
    data["checkpoints"] = [shapes.checkpoint(10, (HOSTILE,), path=HOSTILE)]
    made = [pages.run_page(run, **data), table.runs_page([run], project=HOSTILE)]
    return [*made, pages.login_page(HOSTILE), pages.error_page(404, HOSTILE, HOSTILE)]


def every_page() -> list[str]:
    runs = [shapes.run(), shapes.bare_run()]
    made = [pages.run_page(shapes.run(), **shapes.page_data()), pages.run_page(shapes.bare_run())]
    return [*made, table.runs_page(runs), table.runs_page([]), *hostile_pages()]


@pytest.mark.parametrize("html", hostile_pages(), ids=["run", "runs", "login", "error"])
def test_hostile_text_stays_text(html: str) -> None:
    page = Page(html)
    assert page.all("img") == []
    assert all(e.attributes.get("src") or e.attributes.get("type") for e in page.all("script"))
    assert "<img src=x" in page.text


@pytest.mark.parametrize("html", every_page())
def test_no_script_and_no_handler_stands_in_a_page(html: str) -> None:
    page = Page(html)
    for script in page.all("script"):
        is_data = script.attributes.get("type") == "application/json"
        assert is_data or script.attributes["src"].startswith("/static/")
        assert is_data or script.text == ""
    names = {name for element in page.elements for name in element.attributes}
    assert [name for name in names if name.startswith("on")] == []
    assert not any(e.attributes.get("href", "").startswith("javascript:") for e in page.elements)
    assert "style" not in names


@pytest.mark.parametrize("html", every_page())
def test_what_is_unknown_is_a_dash_and_never_none(html: str) -> None:
    page = Page(html)
    attributes = " ".join(v for e in page.elements for v in e.attributes.values())
    for wrong in (r"\bNone\b", r"\bnan\b", r"\bUndefined\b", r"\bundefined\b"):
        assert not re.search(wrong, page.text + " " + attributes)


@pytest.mark.parametrize("html", every_page())
def test_ids_are_unique(html: str) -> None:
    ids = [e.attributes["id"] for e in Page(html).elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))


def test_a_run_without_a_step_has_a_page() -> None:
    page = Page(pages.run_page(shapes.bare_run(words="No step has been received yet.")))
    assert page.by_id("waiting").text == "No step has been received yet."
    assert "hidden" in page.by_id("charts").attributes
    assert "No checkpoint has been registered yet" in page.text
    assert page.by_id("section-header").text.count(UNKNOWN) >= 4


def test_missing_keys_of_a_run_count_as_unknown() -> None:
    run = {key: shapes.bare_run()[key] for key in ("id", "name", "project", "status")}
    assert UNKNOWN in Page(pages.run_page(run)).by_id("section-header").text
    assert UNKNOWN in Page(table.runs_page([run])).text


def test_the_header_holds_the_numbers() -> None:
    header = whole_page().by_id("section-header").text
    for part in ("stopped", "past", "60 / 160", "1 min 30 s", "62 %", "71.8 %", "67.4–76.1"):
        assert part in header


def test_the_verdicts_own_sentence_comes_before_the_words_of_the_phase() -> None:
    run = shapes.run(words="Since step 38 length turned.")
    assert "Since step 38 length turned." in Page(pages.section("header", run)).text


def test_the_stop_button_rests_once_the_run_has_ended() -> None:
    ended = Page(pages.section("header", shapes.run()))
    running = Page(pages.section("header", shapes.run(status="running")))
    assert "disabled" in ended.all("button", data_action="stop")[0].attributes
    assert "disabled" not in running.all("button", data_action="stop")[0].attributes


def test_the_transition_is_told_with_its_evidence() -> None:
    card = Page(pages.section("transition", shapes.run(), verdicts=shapes.verdicts()))
    assert "step 38 (likely 33–42)" in card.text
    assert "Evidence at step 53: 52 (format 31, length 21)." in card.text
    assert "watches from 20 and confirms at 36" in card.text
    assert card.all("svg", role="img")[0].attributes["aria-label"].startswith("Evidence at step 53")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("provisional", "ended before that was certain"),
        ("dismissed", "dismissed"),
        ("revised", "revised"),
    ],
)
def test_the_state_of_a_transition_is_told(state: str, said: str) -> None:
    run = shapes.run(transition=shapes.transition(state=state))
    assert said in Page(pages.section("transition", run, verdicts=shapes.verdicts())).text


def test_a_running_run_may_be_turning() -> None:
    run = shapes.run(transition=shapes.transition(state="provisional"), status="running")
    card = Page(pages.section("transition", run, verdicts=shapes.verdicts()))
    assert "may be turning since step 38" in card.text


def test_a_run_that_ended_without_a_transition_says_so() -> None:
    run = shapes.run(transition=None, status="finished")
    card = Page(pages.section("transition", run, verdicts=shapes.verdicts()))
    assert "No transition was found in this run; its last step judged is 60." in card.text


def test_the_charts_have_a_text_alternative() -> None:
    label = whole_page().by_id("charts").attributes["aria-label"]
    assert "Format reward went from 0.505 at step 1 to 0.800 at step 60" in label
    assert "step 38 (likely 33–42)" in label


def test_a_checkpoint_shows_its_distance_aliases_and_actions() -> None:
    page = Page(pages.section("checkpoints", shapes.run(), checkpoints=shapes.checkpoints()))
    row = next(e for e in page.all("tr") if e.attributes.get("data-checkpoint") == "C30").text
    assert "−8" in row
    assert "pre-transition" in row
    promote = page.all("button", data_action="promote", data_checkpoint="C30")[0]
    assert promote.attributes["aria-label"] == "Promote checkpoint 30 to production"
    missing = page.all("button", data_action="promote", data_checkpoint="C40")[0]
    assert "disabled" in missing.attributes


def test_what_would_be_refused_is_not_offered() -> None:
    run = shapes.run() | {"evaluation_blocked": "the recipe says no evaluation"}
    buttons = Page(pages.run_page(run, **shapes.page_data())).all("button", data_action="evaluate")
    assert len(buttons) > 1
    for button in buttons:
        assert "disabled" in button.attributes
        assert "the recipe says no evaluation" in button.attributes["title"]


def test_pinning_is_offered_only_while_something_could_be_deleted() -> None:
    running = shapes.run(status="running")
    offered = [
        "disabled" in button.attributes
        for run in (running, shapes.run())
        for button in Page(
            pages.section("checkpoints", run, checkpoints=[shapes.checkpoint(10)])
        ).all("button", data_action="pin")
    ]
    assert offered == [False, True]


def test_promotion_knows_what_is_in_production_now() -> None:
    run = shapes.run(checkpoints={"production": {"id": "C20", "step": 20}})
    held = [shapes.checkpoint(20, ("production",)), shapes.checkpoint(30)]
    page = Page(pages.section("checkpoints", run, checkpoints=held))
    assert page.by_id("section-checkpoints").attributes["data-production"] == "C20"
    in_production = page.all("button", data_action="promote", data_checkpoint="C20")[0]
    assert "disabled" in in_production.attributes


def test_a_checkpoint_shows_the_score_that_decided_nothing() -> None:
    scores = [
        {"task": "t", "split": "report", "pass_at_1": 0.7, "low": 0.6, "high": 0.8, "n": 400},
        {"task": "t", "split": "selection", "pass_at_1": 0.9, "low": 0.8, "high": 1.0, "n": 200},
    ]
    held = [shapes.checkpoint(20, scores=scores)]
    text = Page(pages.section("checkpoints", shapes.run(), checkpoints=held)).text
    assert "70.0 %" in text
    assert "90.0 %" not in text


def test_the_comparison_is_told_in_words() -> None:
    data = {"comparison": shapes.comparison(), "checkpoints": shapes.checkpoints()}
    page = Page(pages.section("evaluations", shapes.run(), **data))
    assert "signals say checkpoint 30 (pre-transition)" in page.text
    assert "evaluation says checkpoint 20 (best)" in page.text
    assert "+62.0 +56.0 to +67.5" in page.text
    titles = [e.attributes["title"] for e in page.all("span") if "title" in e.attributes]
    assert titles[0] == (
        "Better than last (step 60): +62.0 points (95 % +56.0 to +67.5, p 2e-09 after Holm)."
    )
    assert titles[1].startswith("Not distinguishable from last (step 60)")


def test_both_questions_stand_beside_each_difference_and_score() -> None:
    data = {"comparison": shapes.comparison(), "evaluations": [shapes.evaluation(20, 0.718)]}
    text = Page(pages.section("evaluations", shapes.run(), **data)).text
    assert "this set +59.0 to +65.0" in text
    assert "71.8 % 66.8–75.8" in text
    assert "this set 69.8–73.8" in text
    assert "after Holm's correction for all rows, at 5 % in all" in text
    assert "Before scoring, a difference of about 6.8 points was to be found 4 times of 5." in text


def test_a_bound_for_this_fixed_set_is_told_as_one() -> None:
    compared = shapes.comparison()
    compared["rows"][0]["fixed_bound"] = True
    scored = [shapes.evaluation(step, 0.718, fixed_bound=step == 20) for step in (20, 30)]
    page = Page(pages.section("evaluations", shapes.run(), comparison=compared, evaluations=scored))
    assert "this set at most +59.0 to +65.0" in page.text
    assert "this set -2.0 to +4.0" in page.text.replace("−", "-")
    assert page.text.count("this set at most 69.8–73.8") == 1
    assert "thick: for this fixed set, at most;" in page.text
    assert descriptions.BOUND in page.text
    assert "with the error of sampling only, at most: one sample a problem." in page.text


def test_a_comparison_stored_before_there_were_two_questions_is_shown_without_the_second() -> None:
    compared = shapes.comparison()
    for name in ("alpha", "margin", "planned_mde"):
        del compared[name]
    for row in compared["rows"]:
        for name in ("fixed_low", "fixed_high", "p_value", "p_adjusted", "equivalent", "split"):
            del row[name]
    old = shapes.evaluation(20, 0.718, fixed_low=None, fixed_high=None)
    text = Page(
        pages.section("evaluations", shapes.run(), comparison=compared, evaluations=[old])
    ).text
    assert "+62.0 +56.0 to +67.5" in text
    assert "this set" not in text
    assert "Holm" not in text


def test_an_equivalent_checkpoint_and_one_that_the_screen_dropped_are_told_so() -> None:
    compared = shapes.comparison() | {"split": "report"}
    compared["rows"][1] |= {"equivalent": True, "split": "report"}
    text = Page(pages.section("evaluations", shapes.run(), comparison=compared)).text
    assert "not distinguishable equal within 3 points" in text
    assert "better on the selection set" in text


def test_the_level_at_which_rows_are_judged_is_told_where_the_screen_has_a_part_of_it() -> None:
    compared = shapes.comparison()
    for row in compared["rows"]:
        row["level"] = 0.0481
    compared["rows"][0] |= {"split": "selection", "level": 0.0019}
    compared["rows"][1] |= {"split": "report"}
    text = Page(pages.section("evaluations", shapes.run(), comparison=compared)).text
    told = "at 5 % in all: p at most 0.0019 on the selection set and 0.0481 on the report set."
    assert told in text


def test_a_comparison_of_named_checkpoints_says_that_it_is_no_choice() -> None:
    compared = shapes.comparison() | {"named": True, "best": None}
    text = Page(pages.section("evaluations", shapes.run(), comparison=compared)).text
    assert "Of the checkpoints named only, which move best nowhere." in text
    full = Page(pages.section("evaluations", shapes.run(), comparison=shapes.comparison())).text
    assert "named only" not in full


def test_the_base_model_may_be_the_best() -> None:
    compared = shapes.comparison() | {"best": {"roles": ["base"], "step": 0}, "reason": "It is."}
    data = {"comparison": compared, "checkpoints": [shapes.checkpoint(30, ("pre-transition",))]}
    text = Page(pages.section("evaluations", shapes.run(), **data)).text
    assert "the evaluation says the base model (best). It is." in text


def test_a_failed_job_says_why_and_a_done_one_is_not_shown() -> None:
    job = {
        "id": "J",
        "kind": "evaluate",
        "state": "failed",
        "progress": None,
        "error": "no base model",
    }
    assert "no base model" in Page(pages.section("jobs", shapes.run(), jobs=[job])).text
    done = Page(pages.section("jobs", shapes.run(), jobs=[job | {"state": "done", "error": None}]))
    assert "hidden" in done.by_id("section-jobs").attributes


@pytest.mark.parametrize("state", ["open", "delivered", "agreed", "done", "refused", "expired"])
def test_every_state_of_a_command_is_shown(state: str) -> None:
    order = ("open", "delivered", "agreed", "done")
    reached = order.index(state) if state in order else 1
    names = ("created_at", "delivered_at", "agreed_at", "done_at")
    times = {name: shapes.AT if i <= reached else None for i, name in enumerate(names)}
    run = shapes.run(commands=[shapes.command(state=state, **times)])
    page = Page(pages.section("commands", run))
    (shown,) = [e for e in page.elements if "data-command" in e.attributes]
    assert shown.attributes["data-state"] == state
    assert state in [e.text for e in page.all("li")]
    assert len(page.all("li", class_="reached")) == reached + 1


@pytest.mark.parametrize("state", ["refused", "expired"])
def test_a_command_that_ended_undone_is_not_called_done(state: str) -> None:
    times = {"delivered_at": None, "agreed_at": None, "done_at": shapes.AT}
    run = shapes.run(commands=[shapes.command(state=state, **times)])
    shown = Page(pages.section("commands", run)).all("li")
    assert [one.text for one in shown] == ["open", state]
    assert (
        f"A stop was asked for but {'was ' if state == 'refused' else ''}{state}."
        in verdict_words.follows(run)
    )


def test_a_rename_is_told_in_words() -> None:
    was = {"name": "tiny", "tags": ["a", "b"], "notes": "why"}
    act = {"at": shapes.AT, "actor": "ann", "action": "edit", "target": "", "detail": {}}
    act["detail"] = {"name": "new", "tags": [], "notes": None, "before": was}
    told = Page(pages.section("decisions", shapes.run(), audit=[act])).text
    for part in ("name tiny → new", "tags a, b → –", "notes why → –"):
        assert part in told
    assert "{" not in told


def test_the_name_of_a_button_begins_with_what_is_seen() -> None:
    (edit,) = Page(pages.section("header", shapes.run())).all("button", data_action="describe")
    assert edit.attributes["aria-label"].startswith(edit.text)


def test_a_deleted_run_says_so_and_offers_no_act() -> None:
    run = shapes.run(deleted_at=shapes.AT)
    page = Page(pages.run_page(run, **shapes.page_data()))
    assert (
        page.by_id("banner").text
        == "This run was deleted. It can be restored until it is purged. Deleted runs"
    )
    assert "hidden" not in page.by_id("banner").attributes
    assert "disabled" in page.all("fieldset", class_="buttons")[0].attributes
    acts = [one for name in ("checkpoints", "roles") for one in _acts(name, run)]
    assert len(acts) > 4
    assert all("disabled" in one.attributes for one in acts)
    assert "hidden" in whole_page().by_id("banner").attributes


def _acts(name: str, run: shapes.Json) -> list[Element]:
    found = Page(pages.section(name, run, **shapes.page_data())).all("button")
    return [one for one in found if "data-action" in one.attributes]


def test_a_comparison_names_the_deleted_runs() -> None:
    asked = {"runs": ["a"], "metric": [], "x": "step", "group": "", "smooth": 0.0}
    more = {"config": {}, "lines": {}, "group": ""}
    runs = [
        shapes.run(name=name, deleted_at=at) | more
        for name, at in (("one", None), ("two", shapes.AT))
    ]
    text = Page(compare.compare_page(runs, asked, known=[], missing=0)).text
    assert "Deleted, and restorable until purged: two." in text


def test_a_run_that_was_evaluated_but_not_verified_is_told_so() -> None:
    assert verdict_words.verified(None) == "No verification was made."


def test_samples_stand_before_and_after_the_transition() -> None:
    text = Page(pages.section("samples", shapes.run(), samples=shapes.page_data()["samples"])).text
    assert text.index("Before the transition") < text.index("3 + 4?")
    assert text.index("After the transition") < text.index("3 + 5?")


def test_every_section_is_on_the_page_and_can_be_fetched_alone() -> None:
    page = whole_page()
    data = shapes.page_data()
    for name in set(pages.SECTIONS) - {"row"}:
        page.by_id(f"section-{name}")
        alone = Page(pages.section(name, shapes.run(), **data))
        assert alone.elements[0].attributes["id"] == f"section-{name}"


def test_an_unknown_section_is_refused_with_the_known_ones() -> None:
    with pytest.raises(pages.UnknownSection, match=r"no section 'nope'.*header"):
        pages.section("nope", shapes.run())


def test_the_stream_goes_on_where_the_page_ended() -> None:
    assert whole_page().by_id("run").attributes["data-cursor"] == "77"


def test_a_row_of_the_table_holds_the_key_numbers() -> None:
    row = Page(pages.section("row", shapes.run()))
    for part in ("tiny", "stopped", "60 / 160", "0.875", "34.7", "38 33–42", "71.8 %", "62 %"):
        assert part in row.text
    assert row.all("a")[0].attributes["href"] == f"/runs/{shapes.RUN_ID}"
    label = row.all("svg", class_="spark")[0].attributes["aria-label"]
    assert label == "format reward: 0.500 to 0.800"


def test_on_a_phone_each_cell_has_the_label_of_its_column() -> None:
    row = Page(pages.section("row", shapes.run(columns={"last:kl": 0.5})))
    assert [one.attributes["data-label"] for one in row.all("td", data_x="last:kl")] == ["kl"]
    group = {"value": "a", "runs": 1, "ids": ["a"], "columns": dict.fromkeys(table.GROUP_HEADS)}
    asked = {"group": "lr"}
    cells = Page(table.runs_page([], groups=[group], asked=asked)).all("td", class_="num")
    labels = ["Runs", *table.GROUP_HEADS.values()]
    assert [one.attributes.get("data-label") for one in cells] == labels


def test_the_last_contact_is_relative_from_the_start() -> None:
    run = shapes.run(last_contact_at="1970-01-01T00:00:10Z")
    (time,) = Page(table.runs_page([run], now=100.0)).all("time", data_relative="")
    assert time.text == "1 min ago"


def test_the_small_line_of_a_reward_is_not_scaled_to_its_noise() -> None:
    noise, healthy = ([level + 0.01 * (n % 2) for n in range(60)] for level in (0.02, 0.92))
    heights = [
        [float(point.split(",")[1]) for point in svg.spark_points(line, (0.0, 1.0)).split()]
        for line in (noise, healthy)
    ]
    assert min(heights[0]) > max(heights[1]) + 10
    line = svg.spark_points(noise, (0.0, 1.0))
    run = shapes.run(sparklines={"format_reward": noise, "completion_length": noise})
    page = pages.section("row", run)
    assert f'points="{line}"' in page
    assert f'points="{svg.spark_points(noise)}"' in page
    assert "the last 120 points, scaled from 0 to 1" in page


def test_a_dismissed_transition_is_not_in_the_table() -> None:
    run = shapes.run(transition=shapes.transition(state="dismissed"))
    assert "33–42" not in Page(pages.section("row", run)).text


def test_an_empty_table_tells_three_ways_to_begin() -> None:
    page = Page(table.runs_page([]))
    assert "hidden" not in page.by_id("start").attributes
    for way in ("cusp.watch(trainer)", "cusp.init", "cusp replay", "cusp demo"):
        assert way in page.by_id("start").text
    assert "CUSP_TOKEN" not in page.text  # this monitor asks for none
    assert "CUSP_TOKEN" in Page(table.runs_page([], needs_token=True)).text
    assert "hidden" in Page(table.runs_page([shapes.run()])).by_id("start").attributes


def test_a_page_of_the_list_says_which_runs_it_shows_and_leads_on() -> None:
    runs = [shapes.run(id=f"01M7YQ72PRHZHDNVMJ1MPJR{i:03d}") for i in range(100)]
    place = table.Place(12_345, 200, older="1.5_OLD", newer="2.5_NEW")
    asked = {"q": "a&b", "status": "failed"}
    page = Page(table.runs_page(runs, project="p", place=place, asked=asked))
    assert "201–300 of 12,345" in page.by_id("range").text
    assert page.by_id("count").text == "12,345"
    links = {
        e.attributes["rel"]: e.attributes["href"] for e in page.all("a") if "rel" in e.attributes
    }
    kept = "project=p&q=a%26b&status=failed"
    assert links == {"prev": f"/?{kept}&before=2.5_NEW", "next": f"/?{kept}&before=1.5_OLD"}
    assert page.by_id("search").attributes["value"] == "a&b"


def test_a_search_that_finds_nothing_says_so_and_does_not_offer_the_first_steps() -> None:
    page = Page(table.runs_page([], place=table.Place(0), asked={"q": "nothing"}))
    assert "hidden" not in page.by_id("none-found").attributes
    assert "three ways to begin" not in page.text.lower()


def test_what_was_left_out_of_a_run_stands_on_its_page() -> None:
    metric = {"name": "grad_norm<b>", "reason": "must be printable", "count": 30, "step": 29}
    left_out = {"metrics": [metric], "more": 7, "fields": {"epoch": 3}, "start": ["tags: too many"]}
    page = Page(pages.section("header", {**shapes.run(), "left_out": left_out}))
    text = page.by_id("left-out").text
    for said in (
        "grad_norm<b>",
        "30 times",
        "must be printable",
        "7 values",
        "epoch",
        "tags: too many",
    ):
        assert said in text


def test_the_login_page_posts_the_token_and_tells_the_error() -> None:
    page = Page(pages.login_page("This is not the token."))
    (form,) = page.all("form")
    assert (form.attributes["method"], form.attributes["action"]) == ("post", "/login")
    assert page.all("input", name="token")
    assert "This is not the token." in page.text


def test_a_link_to_parquet_is_there_only_where_the_monitor_can_write_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parquet() -> int:
        return pages.run_page(shapes.run(), **shapes.page_data()).count("format=parquet")

    assert parquet() >= 1
    monkeypatch.setattr(templating, "find_spec", lambda name: None)
    assert parquet() == 0
