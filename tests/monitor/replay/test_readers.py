"""Logs as people have them: what a trainer drew, printed or cut off, and files that are no log."""

import gzip
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cusp.cli.app import app
from monitor.replay.readers.logs import LogError, read_log
from tests.monitor.replay.logs import turning_run, write_csv, write_state

HEAD = (
    "Step",
    "Training Loss",
    "reward",
    "rewards / xml_reward / mean",
    "completions / mean_length",
)


def table(steps: range, head: tuple[str, ...] = HEAD, extra: str = "") -> str:
    """Return a table as transformers draws it into a notebook."""
    heads = "".join(f"<th>{name}</th>" for name in head)
    rows = "".join(
        f"<tr><td>{s}</td><td>0.100000</td><td>No Log</td><td>{s / 100}</td><td>{200 + s}</td></tr>"
        for s in steps
    )
    return (
        f"<div><progress value='1' max='2'></progress></div>\n<table border='1' class='dataframe'>"
        f"<thead><tr style='text-align: left;'>{heads}</tr></thead><tbody>{rows}{extra}</tbody></table><p>"
    )


def notebook(file: Path, *html: str, printed: str = "") -> Path:
    """Write a notebook whose cells have these outputs."""
    outputs: list[dict[str, object]] = [
        {"output_type": "display_data", "data": {"text/html": text.splitlines(True)}}
        for text in html
    ]
    outputs.append({"output_type": "stream", "name": "stdout", "text": printed.splitlines(True)})
    cells = [{"cell_type": "code", "source": [], "outputs": outputs}]
    file.write_text(json.dumps({"cells": cells, "nbformat": 4, "metadata": {}}))
    return file


def steps_of(file: Path, **options: Any) -> list[int]:
    """Return the steps that are read from a file."""
    return [sample.step for sample in read_log(file, **options).samples]


def test_the_table_of_a_notebook_is_read_under_the_names_that_the_trainer_logged(
    tmp_path: Path,
) -> None:
    log = read_log(notebook(tmp_path / "train.ipynb", "<b>hello</b>", table(range(1, 31))))
    assert [sample.step for sample in log.samples] == list(range(1, 31))
    assert log.samples[9].metrics["completion_length"] == 210
    assert log.samples[9].metrics["loss"] == 0.1
    assert "reward" not in log.samples[9].metrics  # No Log
    assert any("xml_reward" in name for name in log.samples[9].metrics)
    assert log.notes == ()


def test_a_training_run_twice_in_one_notebook_is_two_and_the_longer_one_is_read(
    tmp_path: Path,
) -> None:
    file = notebook(tmp_path / "train.ipynb", table(range(1, 100)), table(range(1, 251)))
    log = read_log(file)
    assert len(log.samples) == 250
    assert "2 tables of steps (99, 250 rows): table 2 was read" in log.notes[0]
    assert len(steps_of(file, table=1)) == 99
    with pytest.raises(LogError, match="has 2 tables of steps; --table 3 is none of them"):
        read_log(file, table=3)


def test_a_table_that_goes_on_where_the_one_before_ended_is_the_same_training(
    tmp_path: Path,
) -> None:
    file = notebook(tmp_path / "train.ipynb", table(range(1, 51)), table(range(51, 81)))
    assert steps_of(file) == list(range(1, 81))


def test_a_notebook_that_only_printed_is_read_and_one_without_a_training_is_named(
    tmp_path: Path,
) -> None:
    printed = "".join(
        f"{{'loss': 0.0, 'step': {s}, 'completion_length': {s}.5}}\n" for s in (1, 2, 3)
    )
    assert steps_of(notebook(tmp_path / "a.ipynb", printed=printed)) == [1, 2, 3]
    with pytest.raises(LogError, match="is a notebook without a training's output"):
        read_log(notebook(tmp_path / "b.ipynb", "<table><tr><td>x</td></tr></table>"))


def test_a_saved_page_with_the_table_and_a_frame_that_pandas_shortened_are_read(
    tmp_path: Path,
) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!DOCTYPE html><html><body>{table(range(1, 9))}</body></html>")
    assert steps_of(file) == list(range(1, 9))
    frame = (
        "<table><thead><tr><th></th><th>Step</th><th>completion_length</th></tr>"
        "<tr><th>index</th><th></th><th></th></tr></thead>"
        "<tbody><tr><th>0</th><td>1</td><td>10</td></tr><tr><th>...</th><td>...</td><td>...</td></tr>"
        "<tr><th>9</th><td>10</td><td>20</td></tr></tbody></table>"
    )
    file.write_text(frame)
    assert steps_of(file) == [1, 10]
    assert "the middle of the training is missing" in read_log(file).notes[0]


def test_a_csv_of_such_a_table_is_read_with_its_heads_as_drawn(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    head = ",".join(["", *HEAD])
    file.write_text(f"{head}\n0,1,0.1,No Log,0.5,210\n1,2,0.1,No Log,0.5,220\n")
    assert read_log(file).samples[1].metrics["completion_length"] == 220


PROGRESS = """
import sys
from types import SimpleNamespace
from transformers.trainer_callback import PrinterCallback, ProgressCallback

kind, = sys.argv[1:]
state = SimpleNamespace(is_world_process_zero=True, is_local_process_zero=True, max_steps=40, global_step=0)
callback = ProgressCallback() if kind == "bar" else PrinterCallback()
if kind == "bar":
    callback.on_train_begin(None, state, None)
for step in range(1, 41):
    state.global_step = step
    if kind == "bar":
        callback.on_step_end(None, state, None)
    if step % 5 == 0:
        logs = {"loss": 0.01, "completion_length": 100.0 + step, "reward": float("nan"), "epoch": step / 40}
        callback.on_log(None, state, None, logs=dict(logs))
callback.on_log(None, state, None, logs={"train_runtime": 3.5, "train_loss": 0.1, "epoch": 1.0})
"""


@pytest.mark.parametrize(("kind", "expected"), [("bar", 5), ("plain", 1)])
def test_what_transformers_prints_is_read_with_the_steps_of_its_bar_where_it_drew_one(
    tmp_path: Path, kind: str, expected: int
) -> None:
    file = tmp_path / "train.out"
    with file.open("w") as out:
        command = [sys.executable, "-u", "-c", PROGRESS, kind]
        subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=True, timeout=120)
    assert steps_of(file) == [n * expected for n in range(1, 9)]
    if kind == "plain":
        assert "the 8 rows are counted" in read_log(file).notes[0]
        assert steps_of(file, logging_steps=5) == list(range(5, 41, 5))


def test_what_verl_openrlhf_and_swift_print_is_read(tmp_path: Path) -> None:
    file = tmp_path / "train.log"
    file.write_text(
        "(TaskRunner pid=7) step:1 - actor/entropy:0.5 - response_length/mean:np.float64(200.0)\n"
        "(TaskRunner pid=7) Training Progress:   1%| | 2/200 [00:10<10:00]\n"
        "(TaskRunner pid=7) step:2 - actor/entropy:0.4 - response_length/mean:210.5\n"
    )
    log = read_log(file)
    assert [s.metrics["completion_length"] for s in log.samples] == [200.0, 210.5]
    file.write_text(
        "✨ Global step 3: {'policy_loss': 0.1, 'response_length': 300.0, 'reward': tensor(0.5)}\n"
        "✨ Global step 4: {'policy_loss': 0.1, 'response_length': 310.0, 'reward': 0.75}\n"
    )
    assert [(s.step, s.metrics["reward"]) for s in read_log(file).samples] == [(3, 0.5), (4, 0.75)]
    file.write_text(
        '{"loss": 0.1, "reward": 0.5, "completions/mean_length": 9, "global_step/max_steps": "5/400"}\n'
        '{"loss": 0.1, "reward": 0.5, "completions/mean_length": 8, "global_step/max_steps": "10/400"}\n'
    )
    swift = read_log(file)
    assert ([s.step for s in swift.samples], swift.max_steps) == ([5, 10], 400)


def test_a_panel_of_wandb_is_read_and_one_of_several_runs_is_refused_by_their_names(
    tmp_path: Path,
) -> None:
    file = tmp_path / "wandb_export.csv"
    name = "sunny-bird-7 - train/completion_length"
    file.write_text(f'"Step","{name}","{name}__MIN","{name}__MAX"\n"1","200","190","210"\n')
    log = read_log(file)
    assert dict(log.samples[0].metrics) == {"completion_length": 200.0}
    assert log.notes == ("a W&B panel of the run 'sunny-bird-7'",)
    file.write_text(f'"Step","{name}","dark-sea-8 - train/completion_length"\n"1","2","3"\n')
    with pytest.raises(LogError, match=r"panel of 2 runs \(dark-sea-8, sunny-bird-7\)"):
        read_log(file)


def test_wandbs_own_step_counts_only_where_there_is_no_other(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(
        "_step,train/global_step,train/completion_length\n0,10,200\n1,,\n2,20,210\n3,,300\n"
    )
    log = read_log(file)
    assert [s.step for s in log.samples] == [10, 20]
    assert log.rows_without_step == 2
    file.write_text("_step,train/completion_length\n0,200\n1,210\n")
    assert "counts calls of its log" in read_log(file).notes[0]


def test_rows_of_an_evaluation_are_no_points(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"step": 10, "completion_length": 5, "epoch": 0.1},
        {"step": 10, "eval_loss": 1, "eval_completions/mean_length": 900, "epoch": 0.1},
        {"step": 15, "eval_loss": 1, "epoch": 0.2},
        {"step": 20, "train_runtime": 9.0, "train_loss": 1.0},
    ]
    file = tmp_path / "trainer_state.json"
    file.write_text(json.dumps({"log_history": rows, "max_steps": 40, "save_steps": 0.25}))
    log = read_log(file)
    assert [(s.step, s.metrics["completion_length"]) for s in log.samples] == [(10, 5.0)]
    assert log.save_steps == 10  # a share of max_steps
    assert log.notes == ("3 rows of evaluations or summaries are no steps of the training",)


@pytest.mark.parametrize("name", ["a.jsonl", "a.log"])
def test_a_line_of_json_is_not_cut_inside_a_text(tmp_path: Path, name: str) -> None:
    rows = [
        {"step": n, "completion_length": n, "text": "a\u2028b\u2029c\x85d"} for n in range(1, 31)
    ]
    file = tmp_path / name
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_bytes(text.encode())
    assert steps_of(file) == list(range(1, 31))


@pytest.mark.parametrize("name", ["a.jsonl", "a.log"])
def test_a_half_written_last_line_costs_that_line_only(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text('{"step": 1, "completion_length": 5}\n{"step": 2, "completion_le')
    assert steps_of(file) == [1]
    assert read_log(file).notes == ("the last line (2) is only half written and left out",)


def test_a_line_that_a_kill_cut_in_the_middle_of_a_long_file_costs_that_line_only(
    tmp_path: Path,
) -> None:
    lines = [f'{{"step": {s}, "completion_length": {s}}}' for s in range(1, 41)]
    lines[20] = lines[20][:9] + lines[20]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(lines) + "\n")
    assert steps_of(file) == [s for s in range(1, 41) if s != 21]
    assert "1 lines (the first: 21)" in read_log(file).notes[0]


def test_a_half_written_last_line_of_a_table_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("step,completion_length,reward\n1,5,0.5\n2,6")
    assert steps_of(file) == [1]
    file.write_text(
        "step,completion_length,reward\n1,5,0.5\n2,6\n"
    )  # whole: two cells, the rest empty
    assert steps_of(file) == [1, 2]


def test_a_run_or_checkpoint_folder_stands_for_its_trainer_state(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-20").mkdir()
    write_state(tmp_path / "checkpoint-20/trainer_state.json", turning_run())
    assert read_log(tmp_path) == read_log(tmp_path / "checkpoint-20")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match=r"is a folder without a trainer_state\.json"):
        read_log(tmp_path / "empty")


def test_a_log_that_powershell_wrote_is_read(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "a.csv", turning_run())
    wide = tmp_path / "b.csv"
    wide.write_bytes(plain.read_text().encode("utf-16"))
    assert read_log(wide).samples == read_log(plain).samples


SQLITE = "sqlite"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("chart.png", b"\x89PNG\r\n\x1a\n\0\0", "is a PNG picture"),
        ("paper.pdf", b"%PDF-1.7\n\xff\xfe", "is a PDF"),
        ("a.parquet", b"PAR1\x15\xff\x04", "is a Parquet file"),
        ("training_args.bin", b"PK\x03\x04\0\xff\xff", "is a zip archive"),
        ("scheduler.pt", b"\x80\x02}q\xff\x00", "is a pickle, which is never opened"),
        ("model.safetensors", (64).to_bytes(8, "little") + b'{"a":1}' + b"\xff" * 9, "safetensors"),
        (
            "events.out.tfevents.1",
            b'\x18\0\0\0\0\0\0\0\xa3\x7fK"\tbrain.Event:2',
            "TensorBoard event",
        ),
        ("run.wandb", b":W&B\x04\xff\xfe", "is W&B's own binary file"),
        ("runs.db", SQLITE, "is an SQLite database"),
        ("adapter_config.json", b'{"peft_type": "LORA", "r": 8}', "an adapter's configuration"),
        ("config.json", b'{"model_type": "qwen2"}', "a model's configuration"),
        ("train.py", b"import torch\nprint({'a': 1})\n", "is a program"),
        ("README.md", b"# My run\nIt was good, step by step.\n", "is a text for people"),
        (
            "page.html",
            b"<!DOCTYPE html><html><body>404</body></html>",
            "a web page without a table",
        ),
        (
            "failed.out",
            b"Traceback (most recent call last):\n  File x\nOOM\n",
            "failed before it logged",
        ),
        ("scalar.csv", b"Wall time,Step,Value\n1.0,1,0.5\n", "TensorBoard's export of one scalar"),
        ("sft.jsonl", b'{"step": 1, "loss": 2.0, "token_acc": 0.5}\n', "supervised fine-tuning"),
        ("trainer_state.json", b'{"log_history": [{"step": 1, "loss"', "it may be half written"),
    ],
)
def test_what_is_no_log_is_called_what_it_is(
    tmp_path: Path, name: str, content: bytes | str, expected: str
) -> None:
    file = tmp_path / name
    if isinstance(content, str):
        sqlite3.connect(file).executescript("CREATE TABLE runs (id); VACUUM;").connection.close()
    else:
        file.write_bytes(content)
    with pytest.raises(LogError) as error:
        read_log(file)
    assert expected in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_says_what_it_left_out_and_carries_it_in_json(tmp_path: Path) -> None:
    rows = "".join(f"{{'loss': 0.1, 'completion_length': {90 + s % 7}}}\n" for s in range(30))
    file = tmp_path / "train.out.gz"
    file.write_bytes(gzip.compress(rows.encode()))
    done = CliRunner().invoke(app, ["replay", str(file), "--json", "--logging-steps", "10"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["notes"] == [
        "no step was printed: the 30 rows are counted, one for every 10 steps"
    ]
    assert found["notes"][0] in done.stderr
    assert found["steps"] == 30
