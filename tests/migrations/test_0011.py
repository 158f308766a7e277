"""Revision 0011 rebuilds the evaluations and their rows: up and down, what both can hold stays."""

from alembic import command
from sqlalchemy import inspect, text

from monitor.database.engine import Database, alembic_config
from tests.messages import Trainer
from tests.migrations.rich import fill, serving


def scores(url: str, trainer: Trainer) -> list[float]:
    with serving(url) as api:
        found = api.get(f"/api/v1/runs/{trainer.run_id}/evaluations").json()["evaluations"]
    return [one["pass_at_1"] for one in found]


def test_scores_of_workers_go_down_and_up_and_those_of_others_go(database_url: str) -> None:
    trainer, _ = fill(database_url)
    database = Database(database_url)
    with database.write() as tx:
        for statement in (
            "INSERT INTO evaluations (id, run_id, step, task, split, source, scores, created_at)"
            " VALUES (:id, :run, 10, 't', 'report', 'client', '{}', 1.0)",
            "INSERT INTO evaluation_rows (evaluation_id, problem_id, sample, text) VALUES (:id, 'p', 0, 'x')",
            "INSERT INTO evaluation_problems (run_id, task, problem_id, question, gold)"
            " VALUES (:run, 't', 'p', 'q', 'g')",
        ):
            known = {"id": "0" * 26, "run": trainer.run_id}
            given = {name: known[name] for name in known if f":{name}" in statement}
            tx.execute(text(statement), given)
        tx.execute(text("UPDATE evaluation_rows SET text = 'told' WHERE problem_id = 'p1'"))
    with database.migrating() as tx:
        command.downgrade(alembic_config(tx), "0010")
        assert tx.execute(text("SELECT count(*) FROM evaluations")).scalar_one() == 1
        rows = tx.execute(text("SELECT problem_id, tokens FROM evaluation_rows ORDER BY 1")).all()
    assert [tuple(row) for row in rows] == [("p1", 12), ("p2", 13)]
    assert "evaluation_problems" not in inspect(database.engine).get_table_names()
    database.upgrade()
    with database.read() as tx:
        found = tx.execute(text("SELECT source, author, text_chars FROM evaluations")).one()
        if database.is_sqlite:
            made = tx.execute(text("SELECT sql FROM sqlite_master WHERE name = 'evaluation_rows'"))
            assert "WITHOUT ROWID" in made.scalar_one()
    assert tuple(found) == ("worker", None, 0)
    database.close()
    assert scores(database_url, trainer) == [0.5]
