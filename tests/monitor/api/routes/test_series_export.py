"""A run's series to download: one table, a line a step and a column a metric, as CSV or Parquet."""

import csv
import io
import sys
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pyarrow import parquet

from cusp.ids import new_id
from monitor.api.routes import history
from monitor.background.packing import Packing
from monitor.schemas.exported import series_table
from monitor.store.packed.blocks import BLOCK_STEPS
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


@pytest.mark.parametrize("packed", [False, True])
def test_a_long_run_is_written_a_portion_at_a_time(
    api: TestClient, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No portion is longer for a longer run; together they are all that REST has, superseded steps left out."""
    monkeypatch.setattr(history, "_POINTS", 3 * 2 * BLOCK_STEPS)
    monkeypatch.setattr(series_table, "GROUP", 2 * BLOCK_STEPS)
    trainer = Trainer(api)
    trainer.send(*[point(step, kl=step / 7, a=float(step)) for step in range(3, 5 * BLOCK_STEPS)])
    second = Trainer(api, trainer.run_id)
    second.send(*[point(step, kl=step / 9) for step in range(1_000, 6 * BLOCK_STEPS + 40, 3)])
    second.send(point(2**52, late=0.5))  # far behind: what lies between costs nothing
    if packed:
        Packing(api.app.state.service.database).turn()  # type: ignore[attr-defined]
    made: list[int] = []
    of_portion = series_table.portion

    def counted(*given: Any) -> Any:
        found = of_portion(*given)
        made.append(len(found[0]))
        return found

    monkeypatch.setattr(series_table, "portion", counted)
    path = f"/api/v1/runs/{trainer.run_id}/series/export"
    lines = list(csv.DictReader(io.StringIO(api.get(path).text)))
    assert len(made) >= 4
    assert max(made) <= 3 * BLOCK_STEPS
    given = {one["name"]: one for one in trainer.get("/series")["series"]}
    for name in ("kl", "a", "late"):
        own = {int(line["step"]): float(line[name]) for line in lines if line[name]}
        assert list(own) == given[name]["steps"]
        assert list(own.values()) == given[name]["values"]
    steps = [int(line["step"]) for line in lines]
    assert steps == sorted(set(steps))
    assert [line["attempt"] for line in lines] == ["1" if one < 1_000 else "2" for one in steps]
    body = api.get(path, params={"format": "parquet"}).content
    file = parquet.ParquetFile(io.BytesIO(body))
    assert file.num_row_groups == 2  # of 768 and what is left of 512
    found = file.read()
    assert found["step"].to_pylist() == steps
    assert found["kl"].to_pylist() == [float(line["kl"]) if line["kl"] else None for line in lines]


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
