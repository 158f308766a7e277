"""The zoo's stored runs are logs like any other, and each says what made it."""

import csv
from pathlib import Path

import pytest

from cusp.roles.assign import assign
from monitor.replay.readers.logs import read_log

ZOO = Path(__file__).resolve().parents[3] / "benchmarks/zoo"
FOLDERS = (ZOO / "runs", ZOO / "runs_head16")
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.csv.gz"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_run_of_the_zoo_is_read_and_has_scores(file: Path) -> None:
    log = read_log(file)
    assert len(log.samples) > 100
    scored = [s.step for s in log.samples if {"selection", "report"} <= set(s.metrics)]
    assert scored[0] == 0
    assert scored[-1] == log.samples[-1].step
    roles = assign({name for sample in log.samples for name in sample.metrics}).members
    keys = {role: tuple(one.key for one in found) for role, found in roles.items()}
    assert keys["format"] == ("format_reward",)
    assert keys["length"] == ("completion_length",)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.name))
def test_every_run_of_the_zoo_says_what_made_it(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "INDEX.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == list(dict.fromkeys(row["run"] for row in rows))
    files = [file for file in FILES if file.parent == folder]
    assert {row["run"] for row in rows} == {file.name.removesuffix(".csv.gz") for file in files}
    assert all(row["command"].startswith("cusp train ") for row in rows)
