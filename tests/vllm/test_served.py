"""A real `vllm serve` that generates for a training with the adapter it is told to load."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.vllm.conftest import Trained
from tests.vllm.servers import KEY, Server, free_port
from trainer.rollouts.adapter_server import AdapterServer, ServerError
from trainer.rollouts.measured import MEAN
from trainer.rollouts.server_key import TOKEN, bearer

pytestmark = pytest.mark.filterwarnings("ignore")  # of vLLM, TRL, transformers and torch, not ours


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, KEY)


@pytest.fixture
def address(tiny_server: Server) -> str:
    return tiny_server.wait()


def models(address: str) -> list[str]:
    return [
        each["id"]
        for each in httpx.get(f"{address}/v1/models", headers=bearer(address)).json()["data"]
    ]


def test_a_server_generates_with_the_adapter_of_each_step_and_forgets_it(
    address: str, trained: Callable[..., Trained]
) -> None:
    before = models(address)
    served = trained(
        "rollouts.sync=adapter", "grpo.vllm_mode=server", f"grpo.vllm_server_base_url={address}",
        "run.stop_at_step=20", "grpo.learning_rate=1e-3",
    )  # fmt: skip
    differences = served.series(MEAN)
    assert len(differences) == 20
    assert max(differences) < 1e-3, differences
    assert served.base["after"] == served.base["before"]
    assert models(address) == before
    assert not list((served.root / "rollouts").iterdir())


def test_what_a_server_refuses_is_a_sentence(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = AdapterServer(address, 1.0, tmp_path, 32)
    with pytest.raises(ServerError, match=r"it must see that folder .* --max-lora-rank 32"):
        server.load(tmp_path / "nothing-here")
    with pytest.raises(ServerError, match=r"no vLLM answers .* grpo\.vllm_server_base_url"):
        AdapterServer(f"http://127.0.0.1:{free_port()}", 0.0, tmp_path, 32)
    monkeypatch.setenv(TOKEN, "another")
    with pytest.raises(ServerError, match=r"401.*give the training the same as VLLM_API_KEY"):
        AdapterServer(address, 1.0, tmp_path, 32)
