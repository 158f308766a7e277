"""The contract: what is a message and what is not."""

import json
import math

import pytest
from pydantic import ValidationError

from cusp.ids import new_id
from cusp.protocol.messages import PointMessage, SampleMessage
from cusp.protocol.reading import read_message, read_reply, read_start
from cusp.protocol.run import Policy, RunMetadata, RunStart


def test_a_point_is_read_as_it_was_sent() -> None:
    read = read_message({"kind": "point", "step": 4, "metrics": {"a": 1, "b": 0.5}, "at": 1.5})
    assert read.message == PointMessage(step=4, metrics={"a": 1, "b": 0.5}, at=1.5)
    assert (read.refused, read.unknown) == ((), ())


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("text", "must be an object"),
        ({"kind": "point", "step": -1, "metrics": {}}, "step must be an integer"),
        ({"kind": "point", "step": True, "metrics": {}}, "step must be an integer"),
        ({"kind": "point", "step": 1, "metrics": [1]}, "must be an object"),
        ({"kind": "nonsense"}, "kind"),
        ({"kind": "status", "status": "exploded"}, "status"),
    ],
)
def test_what_is_no_message_is_answered_with_a_sentence(raw: object, says: str) -> None:
    read = read_message(raw)
    assert read.message is None
    assert says in read.refused[0].reason


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ({"a": math.nan}, "leave a value"),
        ({"a": math.inf}, "leave a value"),
        ({"a": "1"}, "must be a number, not str"),
        ({"a": None}, "must be a number, not NoneType"),
        ({"a": True}, "must be a number, not bool"),
        ({"a": {"b": 1}}, "must be a number, not dict"),
        ({"a": [1.0, 2.0]}, "must be a number, not list"),
        ({"": 1.0}, "1 to 200 characters"),
        ({"x" * 201: 1.0}, "not 201"),
        ({"a\0": 1.0}, "printable"),
        ({"a\nb": 1.0}, "printable"),
        ({"\ud800": 1.0}, "printable"),
        ({"a": 10**400}, "beyond 2^1000"),
    ],
)
def test_only_the_wrong_metric_of_a_point_is_refused(metrics: dict[str, object], says: str) -> None:
    raw = {"kind": "point", "step": 1, "metrics": {"good": 0.5, **metrics, "too": 1}}
    read = read_message(raw)
    assert read.message == PointMessage(step=1, metrics={"good": 0.5, "too": 1})
    (part,) = read.refused
    assert says in part.reason
    assert [part.name] == list(metrics)


def test_of_too_many_metrics_those_that_matter_are_taken() -> None:
    junk: dict[str, float] = {f"layer{i}": 1.0 for i in range(600)}
    late = {"rewards/soft": 0.5, "format_reward": 0.25}
    read = read_message({"kind": "point", "step": 1, "metrics": junk | late})
    assert isinstance(read.message, PointMessage)
    assert len(read.message.metrics) == 512
    assert late.items() <= read.message.metrics.items()
    assert {part.kind for part in read.refused} == {"number of metrics"}
    assert "602 metrics" in read.refused[0].reason


@pytest.mark.parametrize(
    ("field", "value", "taken"),
    [("skipped", -1, 0), ("skipped", "3", 0), ("at", "now", None), ("at", -5, None)],
)
def test_a_wrong_field_of_a_point_costs_that_field_alone(
    field: str, value: object, taken: object
) -> None:
    read = read_message({"kind": "point", "step": 1, "metrics": {"a": 1.0}, field: value})
    assert isinstance(read.message, PointMessage)
    assert (read.message.metrics, getattr(read.message, field)) == ({"a": 1.0}, taken)
    assert read.refused[0].name == field


def test_a_field_of_a_newer_client_is_let_by_and_named() -> None:
    read = read_message({"kind": "point", "step": 1, "metrics": {"a": 1.0}, "epoch": 0.5})
    assert read.message == PointMessage(step=1, metrics={"a": 1.0})
    assert (read.refused, read.unknown) == ((), ("epoch",))
    other = read_message({"kind": "status", "status": "finished", "rank": 3})
    assert (other.message is not None, other.refused, other.unknown) == (True, (), ("rank",))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"kind": "status", "status": "failed", "reason": "x" * 40_000}, "cut to 32,768"),
        ({"kind": "status", "status": "failed", "reason": "a\0b"}, "cleaned"),
        ({"kind": "status", "status": "finished", "step": -4}, "left out"),
        ({"kind": "sample", "step": 1, "prompt": "\ud800", "completion": "c\0"}, "cleaned"),
        (
            {
                "kind": "sample",
                "step": 1,
                "prompt": "p",
                "completion": "c",
                "rewards": {str(i): 1.0 for i in range(99)},
            },
            "only the first 64",
        ),
        (
            {
                "kind": "sample",
                "step": 1,
                "prompt": "p",
                "completion": "c",
                "rewards": {"good": 1.0, "bad": "high", "x" * 300: 1.0},
            },
            "left out",
        ),
    ],
)
def test_of_every_message_only_what_is_wrong_is_left_out(raw: dict[str, object], says: str) -> None:
    read = read_message(raw)
    assert read.message is not None
    assert read.message.kind == raw["kind"]
    assert any(says in part.reason for part in read.refused)
    if raw.get("rewards"):
        assert isinstance(read.message, SampleMessage)
        assert set(read.message.rewards) <= {"good", *map(str, range(64))}
        assert read.message.rewards


@pytest.mark.parametrize("state", ["gone", None, 3])
def test_a_state_that_is_unknown_is_never_taken_for_another(state: object) -> None:
    """Left out, it would read as `present`."""
    raw = {"kind": "checkpoint", "checkpoint_id": new_id(), "step": 1, "path": "c"}
    read = read_message({**raw, "sha256": "0" * 64, "bytes": 1, "state": state})
    assert read.message is None
    assert "state" in read.refused[0].reason


def test_messages_of_every_kind_are_told_apart() -> None:
    sample = {"kind": "sample", "step": 1, "prompt": "2+2=", "completion": "4"}
    assert isinstance(read_message(sample).message, SampleMessage)


def test_a_run_cannot_be_announced_with_an_id_that_is_a_path() -> None:
    with pytest.raises(ValidationError, match="run_id"):
        RunStart(run_id="../../../etc/passwd", attempt_id=new_id(), name="n")


def test_a_misspelt_field_of_an_announcement_is_refused_where_it_is_written() -> None:
    """On the wire an unknown field comes from a newer client; in a script it is a mistake."""
    with pytest.raises(ValidationError, match="surprise"):
        RunStart.model_validate(
            {"run_id": new_id(), "attempt_id": new_id(), "name": "n", "surprise": 1}
        )
    with pytest.raises(ValidationError, match="max_step"):
        RunMetadata(max_step=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("more", "field", "taken"),
    [
        ({"tags": [f"t{i}" for i in range(40)]}, "tags", [f"t{i}" for i in range(32)]),
        ({"tags": ["a", 5, "", "b"]}, "tags", ["a", "b"]),
        ({"name": "x" * 300}, "name", "x" * 199 + "…"),
        ({"project": "a\0b"}, "project", "a?b"),
        ({"host": "h" * 300}, "host", "h" * 199 + "…"),
        ({"config": {"a": "\0"}}, "config", {"a": ""}),
        ({"config": 5}, "config", {}),
        ({"cusp_version": "0.2"}, "name", "n"),
        (
            {"policy": {"action": "verify", "preset": "p"}},
            "policy",
            Policy(action="watch", preset="p"),
        ),
        ({"policy": 5}, "policy", Policy(action="watch")),
        ({"metadata": {"max_steps": -1, "save_steps": 5}}, "metadata", RunMetadata(save_steps=5)),
        ({"metadata": {"max_steps": 5, "optimizer": {}}}, "metadata", RunMetadata(max_steps=5)),
        ({"metadata": {"gpu_hourly_usd": math.nan}}, "metadata", RunMetadata()),
        ({"metadata": [1]}, "metadata", RunMetadata()),
        (
            {"metadata": {"roles": {"format": [f"f{i}" for i in range(70)], "x" * 300: ["a"]}}},
            "metadata",
            RunMetadata(roles={"format": [f"f{i}" for i in range(64)]}),
        ),
    ],
)
def test_of_an_announcement_only_what_is_wrong_is_left_out(
    more: dict[str, object], field: str, taken: object
) -> None:
    raw = {"run_id": new_id(), "attempt_id": new_id(), "name": "n", **more}
    found = read_start(raw)
    assert getattr(found.model, field) == taken
    assert found.refused or found.unknown
    assert found.model.run_id == raw["run_id"]


def test_thousands_of_wrong_entries_cost_their_field_alone() -> None:
    wrong = {f"r{i}": "x" for i in range(5_000)}
    raw = {"run_id": new_id(), "attempt_id": new_id(), "name": "n"}
    found = read_start({**raw, "metadata": {"rewards": wrong, "max_steps": 7}, "tags": ["a"]})
    assert (found.model.metadata, found.model.tags) == (RunMetadata(max_steps=7), ["a"])


@pytest.mark.parametrize("field", ["run_id", "attempt_id", "name"])
def test_an_announcement_without_what_it_needs_is_none(field: str) -> None:
    raw = {"run_id": new_id(), "attempt_id": new_id(), "name": "n"}
    with pytest.raises(ValidationError, match=field):
        read_start({**raw, field: 7})
    with pytest.raises(ValidationError, match="v"):
        read_start({**raw, "v": 2})


def test_an_answer_of_a_newer_monitor_is_understood() -> None:
    known = {"command_id": new_id(), "kind": "stop", "priority": 3}
    unknown = {"command_id": new_id(), "kind": "restart"}
    content = {
        "next_seq": 4,
        "commands": [unknown, known],
        "server_time": 1.5,
        "refused": [{"x": 1}],
    }
    reply, problems = read_reply(json.dumps(content).encode())
    assert (reply.next_seq, [c.kind for c in reply.commands]) == (4, ["stop"])
    assert len(problems) == 1
    for wrong in (b"<html>", b"[]", b"{}", b'{"next_seq": -1}'):
        with pytest.raises(ValidationError):
            read_reply(wrong)
