"""A run's page that fails after its beginning went out: the rest of it says so."""

import logging

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from monitor.api import pages as run_pages
from monitor.services import Service
from tests.messages import Trainer
from webui.pages import error_page, run_beginning

BROWSER = {"Accept": "text/html"}
NOT_READY = (503, "Not ready", "the database does not answer; try again")
DEFECT = (500, "Defect", "the monitor failed on this; its log says how")


def test_what_fails_after_the_run_was_found_is_said_on_the_page(
    api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = Trainer(api)
    service: Service = api.app.state.service  # type: ignore[attr-defined]
    with service.database.write() as tx:
        tx.execute(text("ALTER TABLE checkpoints RENAME TO gone"))
    with caplog.at_level(logging.ERROR):
        answer = api.get(f"/runs/{trainer.run_id}", headers=BROWSER)
    # SQLite says so as it says that it is locked; PostgreSQL answers, so it is a defect of ours.
    said = NOT_READY if service.database.engine.dialect.name == "sqlite" else DEFECT
    assert answer.text == error_page(*said, begun=True)
    assert answer.text.startswith(run_beginning())
    assert answer.text.endswith("</html>")
    assert f"<h1>{said[1]}</h1><p>{said[2]}</p>" in answer.text
    assert "js/run.js" not in answer.text.removeprefix(run_beginning()), "it looks for a run's page"
    assert "checkpoints" in caplog.text


def test_a_defect_is_said_on_the_page_without_what_happened(
    api: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(api)

    def broken(*_: object) -> None:
        raise KeyError("a secret of the server")

    monkeypatch.setitem(run_pages._DATA, "cost", broken)
    with caplog.at_level(logging.ERROR):
        answer = api.get(f"/runs/{trainer.run_id}", headers=BROWSER)
    assert answer.text == error_page(*DEFECT, begun=True)
    assert "a secret of the server" in caplog.text


def test_a_run_that_is_not_there_is_still_an_answer_of_its_own(api: TestClient) -> None:
    answer = api.get("/runs/01JD0000000000000000000000", headers=BROWSER)
    assert answer.status_code == 404
    assert answer.text.count("<head>") == 1
