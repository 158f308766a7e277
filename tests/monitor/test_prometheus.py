"""What Prometheus reads."""

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.messages import Trainer, point
from tests.monitor.api.routes.test_jobs import claim, ended


def read(api: TestClient) -> dict[str, float]:
    """Return each sample by its name with its labels, as Prometheus would parse the answer."""
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_batches_messages_and_what_was_set_aside_are_counted(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), point(2), {"kind": "nonsense"})
    trainer.send(point(1), first_seq=0)  # a repeat is a batch without anything new
    found = read(api)
    assert found["cusp_batches_total"] == 2
    assert found["cusp_messages_total"] == 3
    assert found["cusp_quarantined_total"] == 1
    assert found["cusp_ingest_seconds_count"] == 2
    assert found["cusp_streams"] == 0


def test_stops_and_jobs_are_counted_by_state(api: TestClient) -> None:
    running = Trainer(api)
    api.post(f"/api/v1/runs/{running.run_id}/stop", json={})
    ended(api)
    ended(api)
    assert claim(api) is not None
    found = read(api)
    assert found["cusp_commands stop open"] == 1
    assert (found["cusp_jobs queued"], found["cusp_jobs leased"]) == (1, 1)
    assert (found["cusp_jobs done"], found["cusp_jobs failed"]) == (0, 0)
