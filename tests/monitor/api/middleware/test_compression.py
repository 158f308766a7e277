"""Answers come packed to who can unpack them, and only where it is right."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.api.middleware.compression import LEAST_BYTES
from monitor.app import create_app
from monitor.settings import MonitorConfig
from tests.messages import Trainer, point
from tests.serving import Served, serving
from webui.pages import run_beginning

KEY = "the-bootstrap-token-of-a-test"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(MonitorConfig(str(tmp_path / "cusp.db"), token=KEY))
    with TestClient(app, base_url="http://127.0.0.1:8787", headers=BEARER) as made:
        yield made


@pytest.fixture
def run(client: TestClient) -> Trainer:
    trainer = Trainer(client)
    trainer.send(*(point(step, format_reward=0.1, reward=0.5) for step in range(1, 4_500)))
    return trainer


PACKED = {"Accept-Encoding": "gzip", "Accept": "text/html, application/json"}
PLAIN = {"Accept-Encoding": "identity", "Accept": "text/html, application/json"}


def test_pages_series_and_scripts_come_packed_and_hold_the_same(
    client: TestClient, run: Trainer
) -> None:
    for path in (
        f"/runs/{run.run_id}/sections/header",
        f"/api/v1/runs/{run.run_id}/series",
        "/static/js/run.js",
        "/static/css/base.css",
        "/openapi.json",
        "/login",
    ):
        packed, plain = (client.get(path, headers=given) for given in (PACKED, PLAIN))
        assert packed.headers["content-encoding"] == "gzip", path
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) < 0.6 * len(plain.content)
        assert "content-encoding" not in plain.headers
        assert packed.headers["referrer-policy"] == "same-origin"


def test_a_long_answer_is_packed_beside_the_others(client: TestClient, run: Trainer) -> None:
    path = f"/api/v1/runs/{run.run_id}/series"
    with client.stream("GET", path, headers=PACKED) as answer:
        raw = b"".join(answer.iter_raw())
    content = gzip.decompress(raw)
    assert len(content) > 64 << 10
    assert len(json.loads(content)["series"]) >= 2


def test_the_page_of_a_run_comes_packed_in_pieces(client: TestClient, run: Trainer) -> None:
    path = f"/runs/{run.run_id}"
    with client.stream("GET", path, headers=PACKED) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    page = gzip.decompress(packed).decode()
    assert page == client.get(path, headers=PLAIN).text
    assert len(packed) < 0.3 * len(page)
    assert page.startswith(run_beginning())
    assert page.endswith("</html>")
    assert page.count("<head>") == page.count('id="plotly-script"') == 1
    missing = client.get(f"/runs/{new_id()}", headers=PACKED)
    assert missing.status_code == 404


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.0", "*", "x-gzipped"])
def test_who_does_not_ask_for_gzip_gets_none(client: TestClient, accepted: str) -> None:
    answer = client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert answer.json()["openapi"]


def test_small_answers_and_refusals_and_ready_packed_files_stay_as_they_are(
    client: TestClient,
) -> None:
    from webui.assets import PLOTLY

    assert "content-encoding" not in client.get("/api/v1/runs", headers=PACKED).headers
    assert "content-encoding" not in client.get("/api/v1/nothing", headers=PACKED).headers
    assert client.get(f"/static/{PLOTLY}", headers=PACKED).content.startswith(b"/**")


def test_no_secret_and_nothing_for_another_sites_page_is_packed(client: TestClient) -> None:
    """Who chooses a part of a packed answer and sees its length can guess the rest (BREACH)."""
    body = {"name": "n" * 200, "scopes": ["read"]}
    made = client.post("/api/v1/tokens", json=body, headers=PACKED)
    assert made.status_code == 201
    assert "content-encoding" not in made.headers
    for site in ("cross-site", "same-site"):
        answer = client.get("/openapi.json", headers={**PACKED, "Sec-Fetch-Site": site})
        assert "content-encoding" not in answer.headers
        assert len(answer.content) > LEAST_BYTES


def test_a_packed_file_is_known_again_by_its_tag(client: TestClient) -> None:
    packed, plain = (client.get("/static/js/run.js", headers=given) for given in (PACKED, PLAIN))
    assert packed.headers["etag"] == f"W/{plain.headers['etag']}"
    for tag in (packed.headers["etag"], plain.headers["etag"], f'"x", {packed.headers["etag"]}'):
        again = client.get("/static/js/run.js", headers={**PACKED, "If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    other = client.get("/static/js/run.js", headers={**PACKED, "If-None-Match": '"another"'})
    assert other.status_code == 200


def test_a_stream_of_events_is_never_packed_and_not_held_back(tmp_path: Path) -> None:
    def first(monitor: Served, path: str) -> tuple[httpx.Headers, str]:
        with httpx.stream("GET", f"{monitor.url}{path}", headers=PACKED, timeout=10) as answer:
            return answer.headers, next(answer.iter_lines())

    with serving(MonitorConfig(str(tmp_path / "cusp.db"))) as monitor:
        with httpx.Client(base_url=monitor.url) as asking:
            run = Trainer(asking)  # type: ignore[arg-type]  # asks alike
            run.send(point(1, format_reward=0.5))
        for path in ("/api/v1/events", f"/api/v1/runs/{run.run_id}/events"):
            headers, line = first(monitor, path)
            assert "content-encoding" not in headers
            assert line
