"""A share of `make fuzz`: every operation once, half of them on each database, by deliberate cases only."""

from pathlib import Path

import pytest

from tests.contract.fuzzing import fuzz


@pytest.mark.parametrize("half", ["sqlite", "postgresql"])
def test_what_is_asked_on_purpose_and_wrongly_is_answered_as_documented(
    half: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_database") if half == "postgresql" else None
    part = slice(0, None, 2) if url is None else slice(1, None, 2)
    found = fuzz(tmp_path, url, examples=1, phases="coverage", runs=2, part=part)
    assert found.exit_status == 0, found.output
    assert found.server_errors == 0, found.output
    assert found.requests > 700
    assert found.by_status["200"] > 10, "ids that are known were asked for"
    assert found.by_status["422"] > 200, "and values that are wrong"
    assert "Traceback" not in (tmp_path / "monitor.log").read_text()
