"""Reading logs: every shape gives the same samples; what is wrong is said with its place."""

import gzip
from pathlib import Path

import pytest

from monitor.replay.readers.logs import LogError, read_log
from monitor.replay.replay import replay
from tests.monitor.replay.logs import TRL, turning_run, write_csv, write_jsonl, write_state


def test_all_shapes_of_one_log_give_the_same_samples(tmp_path: Path) -> None:
    run = turning_run()
    expected = tuple(run)
    assert read_log(write_csv(tmp_path / "a.csv", run)).samples == expected
    assert replay(read_log(write_csv(tmp_path / "b.csv", run, TRL)).samples).samples == expected
    assert replay(read_log(write_jsonl(tmp_path / "c.jsonl", run)).samples).samples == expected
    assert replay(read_log(write_jsonl(tmp_path / "c.log", run)).samples).samples == expected
    assert (
        replay(read_log(write_state(tmp_path / "trainer_state.json", run)).samples).samples
        == expected
    )


def test_a_gzipped_log_is_read_as_what_is_in_it(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "a.csv", turning_run())
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_log(packed) == read_log(plain)


def test_a_trainer_state_tells_its_save_steps(tmp_path: Path) -> None:
    log = read_log(write_state(tmp_path / "trainer_state.json", turning_run(), 20))
    assert (log.save_steps, log.max_steps) == (20, 260)


def test_rows_of_one_step_are_merged_and_the_later_value_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("step,format_reward,loss\n3,0.5,\n1,0.1,9\n3,,1.5\n3,0.75,\n")
    one, three = read_log(file).samples
    assert (one.step, dict(one.metrics)) == (1, {"format_reward": 0.1, "loss": 9.0})
    assert (three.step, dict(three.metrics)) == (3, {"format_reward": 0.75, "loss": 1.5})


def test_a_table_of_a_whole_log_history_loses_the_summary_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    rows = "1,0.1,,\n2,0.2,nan,\n3,0.3,None,\n3,,91.5,0.4\n"
    file.write_text(f"step,format_reward,train_runtime,train_loss\n{rows}")
    log = read_log(file)
    assert [dict(one.metrics) for one in log.samples] == [
        {"format_reward": value} for value in (0.1, 0.2, 0.3)
    ]
    assert log.notes == ("1 row of an evaluation or a summary is no step of the training",)


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"step": 1, "entropy": NaN, "format_reward": 1}\n\n{"step": 2, "kl": null}\n')
    assert [dict(s.metrics) for s in read_log(file).samples] == [{"format_reward": 1.0}, {}]


def test_the_mean_length_counts_where_unsloth_logs_the_longest_of_the_batch_too(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("step,completion_length,completions/mean_length\n1,10,20\n")
    assert read_log(file).samples[0].metrics == {"completion_length": 20.0}


def test_a_semicolon_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("\ufeffStep;format_reward\n1;0.5\n", encoding="utf-8")
    assert read_log(file).samples[0].metrics == {"format_reward": 0.5}


def test_rows_without_a_step_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"config": 1}\n{"step": 1, "format_reward": 1}\n')
    assert read_log(file).rows_without_step == 1


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "step,format_reward\n", "it has no rows"),
        ("a.csv", "format_reward\n1\n", "line 1: there is no column `step` (found: format_reward)"),
        ("a.csv", "step,format_reward\n1,0.5\n2,high\n", "line 3, column format_reward: 'high'"),
        ("a.csv", "step,format_reward\n1.5,0.5\n", "line 2, column step: '1.5' is no step"),
        ("a.csv", "step,format_reward\n-1,0.5\n", "line 2, column step: '-1' is no step"),
        ("a.csv", "step,format_reward\n1,0,5\n", "line 2: 3 cells under 2 columns"),
        ("a.csv", "step,my_metric\n1,0.5\n", "no value of a metric that Cusp knows"),
        ("a.csv", "step,format_reward\n1,nan\n", "no cell under format_reward holds a number"),
        ("a.jsonl", '{"step": 1}\n{"step": \n', "line 2: this is no JSON"),
        ("a.jsonl", "[1]\n", "line 1: expected an object"),
        ("a.json", '{"log_history": [{"step": 1},\n', "line 2: this is no JSON"),
        ("a.json", '{"log_history": 3}', "log_history is no list"),
        ("a.json", '{"log_history": [{"step": 1}, 2]}', "entry 2 of log_history"),
        ("a.jsonl", '{"format_reward": 1}\n', "none of its 1 rows has a `step`"),
    ],
)
def test_a_bad_file_is_one_sentence_with_the_place(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(LogError) as error:
        read_log(file)
    assert expected in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LogError, match="is no text"):
        read_log(file)


def test_a_missing_file_and_a_broken_gzip_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="No such file"):
        read_log(tmp_path / "none.csv")
    broken = tmp_path / "a.csv.gz"
    for content in (
        b"\x1f\x8b\x08",
        gzip.compress(b"step,format_reward\n" * 99)[:30] + b"\xff" * 30,
    ):
        broken.write_bytes(content)
        with pytest.raises(LogError, match=r"cannot be read .*; pack or copy it once more"):
            read_log(broken)
