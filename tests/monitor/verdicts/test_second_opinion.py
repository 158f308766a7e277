"""Agreement of the segmentation is told of only where it means something; segments are of runs that are over."""

import re
from types import SimpleNamespace

from fastapi.testclient import TestClient

from monitor.store.packed.columns import of_rows
from monitor.store.points import Series
from monitor.verdicts.second_opinion import segments
from tests.messages import Trainer, status, transition
from tests.monitor.replay.logs import healthy_run


def stored() -> list[Series]:
    """Return the series of a run that learns the format, and one that the detector does not read."""
    run = healthy_run()
    names = [*run[0].metrics, "loss"]
    return [
        Series(name, of_rows([(s.step, 1, s.metrics.get(name, 0.1)) for s in run]))
        for name in names
    ]


def of_status(status: str) -> list[dict[str, object]]:
    run = SimpleNamespace(status=status, metadata={})
    return segments(run, stored(), [one.name for one in stored()])


def test_a_run_that_is_over_has_segments_of_what_the_detector_reads() -> None:
    found = of_status("finished")
    assert (found[0]["from_step"], found[-1]["to_step"]) == (1, 260)
    assert set(found[0]["ends"]) == {"format_reward", "completion_length"}  # type: ignore[call-overload]
    assert of_status("stopped") == of_status("failed") == found


def test_a_run_that_trains_has_none() -> None:
    assert of_status("running") == []


def test_a_decision_tells_of_agreement_with_its_chance_or_not_at_all(api: TestClient) -> None:
    trainer = Trainer(api)
    transition(trainer)
    trainer.send(status("stopped"))
    reasons = [one["reason"] for one in trainer.get()["decisions"]]
    assert {"keep", "stop"} <= {one["kind"] for one in trainer.get()["decisions"]}
    for reason in reasons:
        assert "Second opinion" not in reason
        assert reason == reason.rstrip()
        told = re.search(r"would hold one in (\d+)% of places", reason)
        assert ("Segmented as a whole" in reason) == (told is not None)
        assert told is None or int(told[1]) <= 15
