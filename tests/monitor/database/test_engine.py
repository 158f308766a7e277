"""Who looks at a run is woken after the commit that changed it, and by nothing else."""

from collections.abc import Set

import pytest

from cusp.ids import new_id
from cusp.protocol.run import RunStart
from monitor.database.engine import Database
from monitor.store import changes, runs


def test_the_runs_of_a_transaction_are_told_of_once_it_is_committed(database_url: str) -> None:
    told: list[Set[str]] = []
    database = Database(database_url, lambda run_ids: told.append(set(run_ids)))
    ids = [new_id(), new_id()]
    with database.write() as tx:
        for run_id in ids:
            runs.announce(tx, RunStart(run_id=run_id, attempt_id=new_id(), name="n"), 0.0)
            changes.add_all(tx, run_id, [("run", {})])
        assert told == [], "nobody could read it yet"
    assert told == [set(ids)]
    with database.write() as tx:
        changes.add_all(tx, ids[0], [], {"last_step": 1})
    assert told == [set(ids)], "nothing is new in its feed"
    database.close()


def change_and_fail(database: Database, run_id: str) -> None:
    with database.write() as tx:
        changes.add_all(tx, run_id, [("run", {})])
        raise RuntimeError("on second thought")


def test_what_is_rolled_back_wakes_nobody_not_even_later(database_url: str) -> None:
    told: list[Set[str]] = []
    database = Database(database_url, lambda run_ids: told.append(set(run_ids)))
    run_id = new_id()
    with database.write() as tx:
        runs.announce(tx, RunStart(run_id=run_id, attempt_id=new_id(), name="n"), 0.0)
    with pytest.raises(RuntimeError, match="on second thought"):
        change_and_fail(database, run_id)
    with database.write() as tx:
        runs.change(tx, run_id, status="failed")
    assert told == []
    database.close()
