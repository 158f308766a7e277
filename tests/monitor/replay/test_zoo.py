"""The zoo's stored runs are logs like any other, and each says what made it."""

import csv
from pathlib import Path

import pytest

from monitor.replay.readers.logs import read_log

ZOO = Path(__file__).resolve().parents[3] / "benchmarks/zoo/runs"
FILES = sorted(ZOO.glob("*.csv.gz"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_a_run_of_the_zoo_is_read_and_has_scores(file: Path) -> None:
    log = read_log(file)
    assert len(log.samples) > 100
    scored = [s.step for s in log.samples if {"selection", "report"} <= set(s.metrics)]
    assert scored[0] == 0
    assert scored[-1] == log.samples[-1].step


def test_every_run_of_the_zoo_says_what_made_it() -> None:
    rows = list(csv.DictReader((ZOO / "INDEX.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == list(dict.fromkeys(row["run"] for row in rows))
    assert {row["run"] for row in rows} == {file.name.removesuffix(".csv.gz") for file in FILES}
    assert all(row["command"].startswith("cusp train ") for row in rows)
