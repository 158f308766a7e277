"""What /openapi.json says holds, and docs/reference names every route of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.actions import record
from monitor.app import create_app
from monitor.schemas import base, run
from monitor.schemas.cost import Cost
from monitor.schemas.evaluation import Job
from monitor.schemas.training import Training
from monitor.settings import MonitorConfig

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/reference"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    """A monitor whose database does not matter."""
    app = create_app(MonitorConfig(str(tmp_path / "cusp.db")))
    with TestClient(app, base_url="http://127.0.0.1:8787") as client:
        yield client


def paths(api: TestClient) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = api.get("/openapi.json").json()["paths"]
    return found


def written() -> str:
    names = ("rest.md", "webhooks.md", "deletion.md", "protocol.md")
    return "\n".join((DOCS / name).read_text() for name in names)


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", lambda _: new_id(), path)


def test_a_method_that_a_path_does_not_have_is_answered_with_all_that_it_has(
    api: TestClient,
) -> None:
    for path, operations in paths(api).items():
        answer = api.request("OPTIONS", filled(path))
        assert answer.status_code == 405, path
        assert answer.headers["allow"].lower().split(", ") == sorted(operations), path
        assert answer.headers["content-type"] == "application/problem+json"


def test_every_number_of_the_document_is_one_that_json_holds_exactly(api: TestClient) -> None:
    """A maximum beyond 2^53 is rounded by whoever reads it, and then says something else."""
    text = api.get("/openapi.json").text
    found = re.findall(r'"(?:exclusiveM|m)(?:in|ax)imum":\s*(-?[\d.e+]+)', text)
    assert len(found) > 20
    for number in found:
        assert f"{float(number):.0f}" == str(int(float(number))), number
        assert abs(float(number)) <= 2**53, number


def test_every_route_of_the_document_stands_in_the_reference(api: TestClient) -> None:
    """As `METHOD /path`, without /api/v1; the name in braces may differ."""
    found = re.findall(r"(GET|POST|PATCH|DELETE) (/[\w/{}.-]*)", written())
    named = {(method.lower(), re.sub(r"\{\w+\}", "{}", path)) for method, path in found}
    routes = {
        (method, re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1")))
        for path, operations in paths(api).items()
        for method in operations
    }
    assert len(routes) > 40
    assert routes - named == set()


def test_every_query_parameter_stands_in_the_reference(api: TestClient) -> None:
    found = {
        str(parameter["name"])
        for operations in paths(api).values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] in ("query", "header")
    }
    assert len(found) > 8
    assert {name for name in found if not re.search(rf"\b{name}\b", written())} == set()


def test_every_field_of_an_answer_stands_in_the_reference() -> None:
    """Of the objects in monitor/schemas/run.py, which the document's answers are made of."""
    objects = [one for one in vars(run).values() if isinstance(one, type)]
    fields = {name for one in objects if issubclass(one, base.Shape) for name in one.model_fields}
    assert len(fields) > 100
    assert {name for name in fields if not re.search(rf"\b{name}\b", written())} == set()


@pytest.mark.parametrize("shape", [Cost, Job, Training, run.Transition, run.Roles])
def test_every_field_of_an_object_stands_in_its_own_entry(shape: type[base.Shape]) -> None:
    """A field of the same name in another object does not count; those of a parent are in its entry."""
    entries = re.split(r"^(?=[A-Z]\w+ +[{a])", (DOCS / "rest.md").read_text(), flags=re.MULTILINE)
    (entry,) = (one for one in entries if re.match(rf"{shape.__name__} +[{{a]", one))
    own = shape.__annotations__
    assert {name for name in own if not re.search(rf"\b{name}\b", entry)} == set()


def test_every_section_that_changes_stands_in_the_reference() -> None:
    (line,) = re.findall(r"^\| `changed` \|.*$", (DOCS / "rest.md").read_text(), flags=re.MULTILINE)
    sections = {name for event in record.EVENTS.values() for name in event.sections}
    assert sections - set(re.findall(r'"(\w+)"', line)) == set()


def test_every_variable_that_the_code_knows_stands_in_the_settings() -> None:
    folders = ("cusp", "monitor", "trainer", "webui", "migrations", "docker")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [ROOT / "docker-compose.yml", ROOT / "Makefile"]
    known = set()
    for path in files:
        if path.suffix in (".py", ".yml", ".yaml", ".Dockerfile", ".js", ""):
            known |= set(re.findall(r"\bCUSP_[A-Z]+(?:_[A-Z]+)*\b", path.read_text()))
    told = set(re.findall(r"`(CUSP_\w+)`", (DOCS / "settings.md").read_text()))
    assert len(known) > 10
    assert {name for name in known - told if not name.startswith("CUSP_TEST_")} == set()
    assert told - known == set(), "documented, and known to nothing"


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/deleted-runs", "/"])
def test_a_project_that_no_database_could_name_is_refused_with_a_sentence(
    database_url: str, path: str
) -> None:
    app = create_app(MonitorConfig(database_url))
    client = TestClient(app, base_url="http://127.0.0.1:8787")
    assert client.get(path, params={"project": "no such"}).status_code == 200
    answer = client.get(path, params={"project": "a\0b"})
    assert answer.status_code == 422
    assert "NUL" in answer.text
    app.state.service.database.close()


def test_every_text_of_a_request_says_what_it_may_hold(api: TestClient) -> None:
    """PostgreSQL holds no NUL: a request that the document allows must not be refused for one."""
    document = api.get("/openapi.json").json()
    known = document["components"]["schemas"]
    reached: set[str] = set()
    free: set[str] = set()

    def walk(part: Any, place: str) -> None:
        if isinstance(part, list):
            for one in part:
                walk(one, place)
        if not isinstance(part, dict):
            return
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name and name not in reached:
            reached.add(name)
            walk(known[name], name)
        said = {"pattern", "enum", "const", "format"} & part.keys()
        if part.get("type") == "string" and not said:
            free.add(place)
        for key, value in part.items():
            if key not in ("description", "examples"):
                walk(value, f"{place}.{key}")

    for operations in document["paths"].values():
        for operation in operations.values():
            walk(operation.get("requestBody"), "body")
            for parameter in operation.get("parameters", []):
                walk(parameter["schema"], parameter["name"])
    # `names` and the header are split and looked up, never stored; an announcement's name is mended.
    assert {place.split(".")[0] for place in free} == {"names", "Last-Event-ID", "Announcement"}
    assert {place for place in free if place.startswith("A")} == {"Announcement.properties.name"}
