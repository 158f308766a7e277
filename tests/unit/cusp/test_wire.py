"""The contract: what is a message and what is not."""

import math

import pytest
from pydantic import ValidationError

from cusp.ids import new_id
from cusp.wire import PointMessage, RunStart, SampleMessage, read_message


def test_a_point_is_read_as_it_was_sent() -> None:
    read = read_message({"kind": "point", "step": 4, "metrics": {"a": 1, "b": 0.5}, "at": 1.5})
    assert read == PointMessage(step=4, metrics={"a": 1, "b": 0.5}, at=1.5)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("text", "must be an object"),
        ({"kind": "point", "step": -1, "metrics": {}}, "step must be an integer"),
        ({"kind": "point", "step": True, "metrics": {}}, "step must be an integer"),
        ({"kind": "point", "step": 1, "metrics": {"a": math.nan}}, "leave a value"),
        ({"kind": "point", "step": 1, "metrics": {"a": math.inf}}, "leave a value"),
        ({"kind": "point", "step": 1, "metrics": {"a": "1"}}, "must be a number, not str"),
        ({"kind": "point", "step": 1, "metrics": {"a": None}}, "must be a number"),
        ({"kind": "point", "step": 1, "metrics": {"": 1.0}}, "1 to 200 characters"),
        ({"kind": "point", "step": 1, "metrics": {"a\0": 1.0}}, "printable"),
        ({"kind": "point", "step": 1, "metrics": {"a": 10**400}}, "number"),
        ({"kind": "point", "step": 1, "metrics": {}, "path": "/etc"}, "unknown field 'path'"),
        ({"kind": "point", "step": 1, "metrics": [1]}, "must be an object"),
        ({"kind": "point", "step": 1, "metrics": {}, "skipped": -1}, "skipped"),
        ({"kind": "point", "step": 1, "metrics": {}, "at": "now"}, "at must be a time"),
        ({"kind": "nonsense"}, "kind"),
        ({"kind": "status", "status": "exploded"}, "status"),
        ({"kind": "sample", "step": 1, "prompt": "a\0", "completion": ""}, "NUL"),
        ({"kind": "sample", "step": 1, "prompt": "\ud800", "completion": ""}, "prompt"),
    ],
)
def test_what_is_no_message_is_answered_with_a_sentence(raw: object, says: str) -> None:
    problem = read_message(raw)
    assert isinstance(problem, str)
    assert says in problem


def test_messages_of_every_kind_are_told_apart() -> None:
    sample = {"kind": "sample", "step": 1, "prompt": "2+2=", "completion": "4"}
    assert isinstance(read_message(sample), SampleMessage)


def test_a_run_cannot_be_announced_with_an_id_that_is_a_path() -> None:
    with pytest.raises(ValidationError, match="run_id"):
        RunStart(run_id="../../../etc/passwd", attempt_id=new_id(), name="n")


def test_an_unknown_field_of_an_announcement_is_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        RunStart.model_validate(
            {"run_id": new_id(), "attempt_id": new_id(), "name": "n", "surprise": 1}
        )
