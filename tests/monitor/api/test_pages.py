"""A section fetched alone, with only the data it needs, is the one on the whole page."""

import pytest
from fastapi.testclient import TestClient

from tests.messages import Trainer, checkpoint, point
from webui.pages import SECTIONS


@pytest.mark.parametrize("name", [name for name in SECTIONS if name != "row"])
def test_a_section_alone_is_that_of_the_page(api: TestClient, name: str) -> None:
    trainer = Trainer(api)
    trainer.send(
        *[point(step, format_reward=0.5, completion_length=50.0 + step) for step in range(1, 40)],
        checkpoint(20),
        {"kind": "sample", "step": 30, "prompt": "2+2", "completion": "4", "rewards": {}},
    )
    page = api.get(f"/runs/{trainer.run_id}").raise_for_status().text
    alone = api.get(f"/runs/{trainer.run_id}/sections/{name}").raise_for_status().text
    assert alone.strip() in page
