"""A replayed log says what the online detector would have said, and which checkpoint to keep."""

import itertools
import json
import re

import pytest

from monitor.detector import Detector, RunShape
from monitor.replay.page import page
from monitor.replay.replay import PhaseSpan, as_json, kept, replay, series
from tests.monitor.replay.logs import TRANSITION, healthy_run, turning_run


def test_the_transition_is_dated_and_the_checkpoint_before_it_kept() -> None:
    found = replay(turning_run(), RunShape(save_steps=20))
    assert found.transition is not None
    assert abs(found.transition.step - TRANSITION) <= 6
    assert found.stop_step is not None
    assert TRANSITION < found.stop_step < TRANSITION + 40
    assert found.keep_step == 120
    assert found.opinion is not None


def test_the_stop_is_the_step_at_which_the_online_detector_confirmed() -> None:
    run = turning_run()
    detector, confirmed = Detector(RunShape()), None
    for sample in run:
        t = detector.update(sample).transition
        if t and t.state == "confirmed":
            confirmed = sample.step
            break
    assert replay(run).stop_step == confirmed


def test_the_stop_does_not_depend_on_what_comes_after_it() -> None:
    run = turning_run()
    stop = replay(run).stop_step
    assert stop is not None
    cut = replay([s for s in run if s.step <= stop])
    assert (cut.stop_step, cut.transition) == (stop, replay(run).transition)


def test_a_healthy_run_is_not_stopped_and_keeps_nothing() -> None:
    found = as_json("x", replay(healthy_run(), RunShape(save_steps=20)))
    assert (found["transition"], found["stop_step"], found["keep_step"]) == (None, None, None)


def test_phases_cover_all_logged_steps_without_overlap() -> None:
    run = turning_run()
    spans = replay(run).phases
    assert (spans[0].from_step, spans[-1].to_step) == (1, run[-1].step)
    for before, after in itertools.pairwise(spans):
        assert after.from_step == before.to_step + 1
        assert after.phase != before.phase
    assert spans[0] == PhaseSpan("warming_up", 1, spans[0].to_step)


def test_listed_checkpoints_come_before_the_save_grid() -> None:
    run = turning_run()
    assert replay(run, RunShape(save_steps=20), checkpoints=[7, 99, 200]).keep_step == 99
    assert replay(run, checkpoints=[200]).keep_step is None
    assert replay(run).keep_step is None
    assert kept(100, None, 50) == 100


def test_the_json_has_the_promised_keys_and_no_nan() -> None:
    found = as_json("run.csv", replay(turning_run()))
    json.dumps(found, allow_nan=False)
    assert {
        "file", "steps", "phase", "transition", "stop_step", "keep_step", "change_points", "phases",
    } <= set(found)  # fmt: skip
    assert set(found["transition"]) == {"step", "low", "high"}
    for point in found["change_points"]:
        assert {"kind", "step", "low", "high", "state", "seen_at_step", "evidence"} <= set(point)


def test_nothing_to_replay_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        replay([])


def test_series_are_columns_by_name() -> None:
    names = [one["name"] for one in series(turning_run())]
    assert names == ["accuracy_reward", "completion_length", "format_reward"]


def test_the_page_loads_nothing_and_a_hostile_file_name_is_text() -> None:
    hostile = "</script><script>alert(1)</script>.csv"
    found = replay(turning_run(), RunShape(save_steps=20))
    text = page([(hostile, found)])
    assert hostile not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["'][^"']""", own)
    assert "checkpoint 120" in own
    figures = re.findall(r'class="figure">(.*?)</script>', text)
    assert all(json.loads(one)["data"] for one in figures)
