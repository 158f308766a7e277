"""A run's series to download: one table, a line a step and a column a metric, as CSV or Parquet."""

import csv
import io
import sys

import pytest
from fastapi.testclient import TestClient
from pyarrow import parquet

from cusp.ids import new_id
from tests.messages import Trainer, point


def test_the_series_are_one_table_as_csv_and_parquet(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, format_reward=0.1, kl=0.25), point(2, format_reward=1 / 3))
    trainer.send({"kind": "point", "step": 4, "metrics": {"step": 7.0, "=1+1": 2.0}})
    trainer.attempt_id, trainer.seq = new_id(), 0
    trainer.start |= {"attempt_id": trainer.attempt_id}
    trainer.announce()
    trainer.send(point(2, format_reward=0.5), point(3, format_reward=0.75))
    path = f"/api/v1/runs/{trainer.run_id}/series/export"
    answer = api.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'filename="{trainer.run_id}-series.csv"' in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(line["step"], line["attempt"]) for line in lines] == [
        ("1", "1"),
        ("2", "2"),
        ("3", "2"),
    ]
    assert [line["format_reward"] for line in lines] == ["0.1", "0.5", "0.75"]
    assert [line["kl"] for line in lines] == ["0.25", "", ""]
    found = parquet.read_table(io.BytesIO(api.get(path, params={"format": "parquet"}).content))
    assert found["step"].to_pylist() == [1, 2, 3]
    assert found["attempt"].to_pylist() == [1, 2, 2]
    assert found["kl"].to_pylist() == [0.25, None, None]
    assert api.get(path, params={"format": "xls"}).status_code == 422


def test_a_table_of_nothing_and_names_like_its_own_columns_or_formulas(api: TestClient) -> None:
    trainer = Trainer(api)
    path = f"/api/v1/runs/{trainer.run_id}/series/export"
    assert api.get(path).text == "step,attempt\r\n"
    trainer.send({"kind": "point", "step": 4, "metrics": {"step": 7.0, "=1+1": 2.0}})
    (line,) = csv.DictReader(io.StringIO(api.get(path).text))
    assert (line["step"], line["metric/step"], line["'=1+1"]) == ("4", "7.0", "2.0")


def test_a_monitor_without_pyarrow_says_how_to_have_parquet(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1, kl=0.5))
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    path = f"/api/v1/runs/{trainer.run_id}/series/export"
    answer = api.get(path, params={"format": "parquet"})
    assert answer.status_code == 409
    assert "pip install pyarrow" in answer.json()["detail"]
    assert api.get(path).status_code == 200
