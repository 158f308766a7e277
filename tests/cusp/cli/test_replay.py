"""`cusp replay` on the command line."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cusp.cli.app import app
from tests.monitor.replay.held_out import falling, scores, write_scores
from tests.monitor.replay.logs import (
    SHARED,
    TRANSITION,
    TRL,
    healthy_run,
    turning_run,
    write_csv,
    write_state,
)

RASBT = SHARED / "rasbt__7-6-plus-format-reward.csv"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def test_one_file_gives_one_json_object(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", turning_run(), TRL)
    done = run(file, "--json", "--save-steps", 20)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["file"], found["steps"], found["keep_step"]) == (str(file), 260, 120)


def test_several_files_give_one_object_a_line_and_a_bad_one_does_not_stop_the_rest(
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("step,format_reward\n1,high\n")
    good = [write_csv(tmp_path / f"{n}.csv", healthy_run()) for n in "ab"]
    done = run(good[0], bad, good[1], "--json")
    assert done.exit_code == 2
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(g) for g in good]
    assert "line 2, column format_reward: 'high' is no number" in done.stderr


def test_the_table_says_step_stop_and_checkpoint(tmp_path: Path) -> None:
    file = write_state(tmp_path / "trainer_state.json", turning_run())
    done = run(file)
    assert done.exit_code == 0
    assert "checkpoint 100" in done.stdout  # save_steps comes from the file
    assert "after step" in done.stdout
    assert "segments of the whole log" in done.stdout
    assert "verification would have been asked for first at step" in done.stdout


def test_held_out_scores_are_replayed_and_shown(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", turning_run(), TRL)
    told = scores(falling(TRANSITION))
    csv_file = write_scores(tmp_path / "scores.csv", told)
    found = json.loads(run(file, "--json", "--held-out", csv_file).stdout)
    assert found["verifications"][-1]["outcome"] == "worse"
    last = found["verifications"][-1]["step"]
    assert last <= found["stop_step"] <= last + 5
    shown = run(file, "--held-out", csv_file).stdout
    assert f"verification at step {last}" in shown
    assert "95 % interval" in " ".join(shown.split())


def test_problems_that_are_missing_are_a_note(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", turning_run(), TRL)
    csv_file = tmp_path / "scores.csv"
    csv_file.write_text("step,problem,score\n10,a,1\n10,b,0\n20,a,1\n")
    notes = json.loads(run(file, "--json", "--held-out", csv_file).stdout)["notes"]
    assert any("checkpoint 20 has scores of 1 of 2 problems" in note for note in notes)


def test_held_out_scores_are_of_one_log_and_wrong_ones_are_said(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", turning_run(), TRL)
    csv_file = tmp_path / "scores.csv"
    csv_file.write_text("step,problem,score\n10,a,2\n")
    two = run(file, file, "--held-out", csv_file)
    assert "holds the scores of one run, and 2 files are given" in str(two.exception)
    bad = run(file, "--held-out", csv_file)
    assert "line 2: score '2' is not between 0 and 1" in str(bad.exception)


def test_a_reward_of_another_scale_is_judged_alike_once_its_range_is_told(tmp_path: Path) -> None:
    turning = turning_run()
    doubled = [
        replace(one, metrics={**one.metrics, "format_reward": 2 * one.metrics["format_reward"]})
        for one in turning
    ]
    plain = run(write_csv(tmp_path / "a.csv", turning), "--json")
    told = run(write_csv(tmp_path / "b.csv", doubled), "--json", "--reward", "format_reward=0:2")
    a, b = json.loads(plain.stdout), json.loads(told.stdout)
    for name in ("transition", "stop_step", "phases"):
        assert a[name] == b[name]


def test_a_reward_function_is_told_of_by_the_name_of_its_column(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [
        {
            "step": one.step,
            "rewards/format_reward/mean": one.metrics["format_reward"],
            "rewards/my_tags/mean": 0.3,
        }
        for one in turning_run()
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = [
        json.loads(run(file, "--json", "--weight", f"{name}=50").stdout)
        for name in ("my_tags", "rewards/my_tags/mean")
    ]
    assert "50 x rewards/my_tags" in told[0]["roles"]["words"][0]
    assert told[0] == told[1]
    assert told[0]["notes"] == []


def test_a_range_or_weight_of_nothing_is_said(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", turning_run())
    options = ("--reward", "speed=0:9", "--reward", "format=0:1", "--weight", "typo=2")
    done = run(file, "--json", *options)
    assert done.exit_code == 0
    why = "changes nothing: nothing was logged under that name"
    assert json.loads(done.stdout)["notes"] == [f"--reward speed {why}", f"--weight typo {why}"]
    assert f"{file}: --weight typo {why}" in done.stderr


def test_a_boundary_starts_the_scan_again(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", turning_run())
    assert json.loads(run(file, "--json").stdout)["stop_step"] is not None
    told = [part for step in range(140, 261, 10) for part in ("--boundary", step)]
    assert json.loads(run(file, "--json", *told).stdout)["stop_step"] is None


@pytest.mark.parametrize("told", ["format_reward", "a=1", "a=1:0", "a=0:x", "a=0:inf", "=0:1"])
def test_a_range_that_is_none_is_refused_with_an_example(tmp_path: Path, told: str) -> None:
    done = run(write_csv(tmp_path / "a.csv", healthy_run()), "--reward", told)
    assert done.exit_code != 0
    assert repr(told) in str(done.exception)
    assert "format_reward=0:1" in str(done.exception)


def test_several_files_are_an_overview_and_names_with_brackets_are_text(tmp_path: Path) -> None:
    done = run(
        write_csv(tmp_path / "[red]a.csv", turning_run()),
        write_csv(tmp_path / "b.csv", healthy_run()),
    )
    assert done.exit_code == 0
    assert "[red]a.csv" in done.stdout
    assert "1 of 2 would have been stopped" in done.stdout


def test_the_page_is_one_file(tmp_path: Path) -> None:
    file, html = write_csv(tmp_path / "a.csv", turning_run()), tmp_path / "out.html"
    assert run(file, "--html", html, "--checkpoints", "50,100,140").exit_code == 0
    assert html.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--preset", "bold"], "unknown preset 'bold'; choose one of default, cautious, eager"),
        (["--checkpoints", "1,x"], "is no list of steps"),
        (["--checkpoints", "50", "--save-steps", "50"], "give one of them"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(
    tmp_path: Path, options: list[str], expected: str
) -> None:
    done = run(write_csv(tmp_path / "a.csv", healthy_run()), *options)
    assert done.exit_code != 0
    assert expected in str(done.exception)


@pytest.mark.skipif(not RASBT.is_file(), reason="the shared logs are not here")
def test_a_public_run_is_stopped_early_and_a_checkpoint_within_two_points_of_its_best_kept() -> (
    None
):
    rows = csv.DictReader((RASBT.parents[1] / "EVALS.csv").read_text().splitlines())
    scores = {int(r["step"]): float(r["eval_acc"]) for r in rows if r["run_id"] == RASBT.stem}
    steps = ",".join(map(str, sorted(scores)))
    found = json.loads(run(RASBT, "--json", "--checkpoints", steps).stdout)
    assert found["stop_step"] < 250
    assert found["keep_step"] == 100
    assert scores[found["keep_step"]] >= max(scores.values()) - 2
