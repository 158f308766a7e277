"""The spool keeps every message in order over any crash, within its disk limit."""

import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cusp.transport.spool import Spool


def steps(spool: Spool, seq: int = 0) -> list[int]:
    found: list[int] = []
    while lines := spool.read(seq + len(found)):
        found += [json.loads(line)["step"] for line in lines]
    return found


def point(step: int) -> dict[str, object]:
    return {"kind": "point", "step": step}


def test_what_was_appended_is_read_back_from_any_place(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for step in range(1_000):
        assert spool.append(point(step))
    assert steps(spool, 0) == list(range(1_000))
    assert steps(spool, 700)[:3] == [700, 701, 702]
    assert spool.read(1_000) == []


def test_it_goes_on_after_the_process_died_in_the_middle_of_a_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(point(0))
    spool.append(point(1))
    spool.close()
    segment = next(tmp_path.glob("spool-*.jsonl"))
    with segment.open("ab") as file:
        file.write(b'{"kind":"point","st')
    again = Spool(tmp_path)
    assert again.next_seq == 2
    again.append(point(2))
    assert steps(again) == [0, 1, 2]


def test_the_cursor_survives_and_acknowledged_segments_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=200)
    for step in range(100):
        spool.append(point(step))
    before = len(list(tmp_path.glob("spool-*.jsonl")))
    spool.acknowledge(90)
    assert len(list(tmp_path.glob("spool-*.jsonl"))) < before
    spool.close()
    again = Spool(tmp_path, segment_bytes=200)
    assert (again.acked, again.pending()) == (90, 10)
    assert steps(again, 90) == list(range(90, 100))
    assert again.oldest() <= 90


def test_a_lost_cursor_only_means_repeats(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(point(0))
    spool.acknowledge(1)
    spool.close()
    (tmp_path / "cursor.json").write_text("garbage")
    assert Spool(tmp_path).acked == 0


def test_beyond_the_disk_limit_points_are_dropped_and_counted_but_a_status_is_kept(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, limit_bytes=500)
    kept = sum(spool.append(point(step)) for step in range(100))
    assert 0 < kept < 100
    assert spool.dropped == 100 - kept
    assert spool.append({"kind": "status", "status": "finished"})
    assert sum(f.stat().st_size for f in tmp_path.glob("spool-*")) < 600


def test_a_full_disk_is_counted_and_never_raised(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "spool-000000000000.jsonl").symlink_to("/dev/full")
    assert not spool.append(point(1))
    assert spool.dropped == 1
    assert spool.next_seq == 0


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["append", "ack", "reopen"]), max_size=60), st.integers(60, 400))
def test_in_any_order_of_events_nothing_unacknowledged_is_lost(
    actions: list[str], segment_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), segment_bytes=segment_bytes)
        written = acked = 0
        for action in actions:
            if action == "append":
                spool.append(point(written))
                written += 1
            elif action == "ack":
                acked = (acked + written + 1) // 2
                spool.acknowledge(acked)
            else:
                spool.close()
                spool = Spool(Path(folder), segment_bytes=segment_bytes)
            assert spool.next_seq == written
            assert steps(spool, acked) == list(range(acked, written))
        spool.close()
