"""The engine `openai` against a server of a few lines; tests/vllm has the same against a real `vllm serve`."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from trainer.evaluation.adapters import AdapterError
from trainer.evaluation.engines import EngineError, Request, openai_engine
from trainer.evaluation.engines.base_model import BaseModel
from trainer.evaluation.engines.openai_engine import OpenAIServer
from trainer.recipe import OpenAIEngine, Recipe, Sampling

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours

SAMPLING = Sampling(
    samples_per_problem=1, max_new_tokens=5, temperature=0.5, top_p=0.9, batch_size=4
)


class Protocol:
    """Answers `models`, `completions` and adapters; `statuses` are given first, `asked` is what came.

    `text` is answered in place of completions, each after `pause_s`. `loaded` is lost by a restart,
    or never kept where it `forgets`.
    """

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.loaded: set[str] = set()
        self.forgets = False
        self.text: str | None = None
        self.pause_s = 0.0
        protocol = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"data": [{"id": "base"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                protocol.asked.append((self.path, body))
                if name := body.get("lora_name"):
                    protocol.loaded |= set() if protocol.forgets else {name}
                    return self.answer({})
                time.sleep(protocol.pause_s)
                known = body["model"] in protocol.loaded | {"base"}
                choice = {"text": f"{len(body['prompt'])}", "finish_reason": "stop"}
                answer = {"choices": [choice], "usage": {"completion_tokens": 2}}
                return self.answer(answer, 200 if known else 404)

            def answer(self, content: object, status: int = 200) -> None:
                protocol.keys.add(self.headers["Authorization"])
                status = protocol.statuses.pop() if protocol.statuses else status
                text = json.dumps(content if status == 200 else {"error": {"message": "as told"}})
                if protocol.text is not None:
                    text = protocol.text
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Not in the test's output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[Protocol]:
    monkeypatch.setenv(openai_engine.KEY, "a key")
    monkeypatch.setattr(openai_engine, "WAIT_S", 0.001)
    protocol = Protocol()
    yield protocol
    protocol.close()


@pytest.fixture
def base(small: Callable[..., Recipe], cusp_dir: Path) -> BaseModel:
    return BaseModel(small(), cusp_dir / "cache", lambda _: None)


def engine(base: BaseModel, url: str, model: str = "base") -> OpenAIServer:
    return OpenAIServer(OpenAIEngine(kind="openai", base_url=url, model=model), base)


def test_each_request_is_answered_once_though_the_server_is_busy_for_a_moment(
    base: BaseModel, protocol: Protocol
) -> None:
    server = engine(base, f"{protocol.url}/v1/")
    protocol.statuses = [503, 429, 500]
    requests = [Request("<|user|>" + "1" * n, 100 + n) for n in range(9)]
    found = dict(one for done in server.completions(None, requests, SAMPLING) for one in done)
    server.close()
    assert [found[n].text for n in range(9)] == [f"{1 + n}" for n in range(9)]
    assert {(each.tokens, each.finish_reason) for each in found.values()} == {(2, "stop")}
    assert len(protocol.asked) == 9 + 3
    for path, body in protocol.asked:
        assert path == "/v1/completions"
        assert body["seed"] == 100 + len(body["prompt"]) - 1
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.5, 0.9, 5)
    assert protocol.keys == {"Bearer a key"}


def test_what_a_server_refuses_is_a_sentence_and_never_names_the_key(
    base: BaseModel, protocol: Protocol
) -> None:
    with pytest.raises(EngineError, match=r"has no model .other., it has base; give the name as"):
        engine(base, protocol.url, "other")
    server = engine(base, protocol.url)
    protocol.statuses = [400]
    with pytest.raises(EngineError, match=r"refused completions with 400 \(as told\)") as refused:
        list(server.completions(None, [Request("1", 1)], SAMPLING))
    assert "a key" not in str(refused.value)
    protocol.close()
    with pytest.raises(EngineError, match=r"no server answers at http://127\.0\.0\.1:"):
        list(server.completions(None, [Request("1", 1)], SAMPLING))
    server.close()


def test_an_adapter_that_does_not_fit_is_refused_before_the_server_is_told(
    base: BaseModel, protocol: Protocol, tmp_path: Path
) -> None:
    server = engine(base, protocol.url)
    with pytest.raises(AdapterError, match="other formats are never loaded"):
        list(server.completions(tmp_path, [Request("1", 1)], SAMPLING))
    server.close()
    assert protocol.asked == []


def test_a_server_is_given_its_adapter_after_every_restart(
    base: BaseModel, protocol: Protocol, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.name))
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path)
    server = engine(base, protocol.url)
    requests = [Request("1", number) for number in range(8)]
    for _ in range(4):
        done = [one for each in server.completions(tmp_path, requests, SAMPLING) for one in each]
        assert len(done) == 8
        protocol.loaded.clear()
    loads = [body for path, body in protocol.asked if path.endswith("/load_lora_adapter")]
    assert len(loads) == 4
    assert all(load == loads[0] for load in loads)
    protocol.forgets = True
    with pytest.raises(EngineError, match=r"refused completions with 404 \(as told\)$"):
        list(server.completions(tmp_path, requests[:1], SAMPLING))
    server.close()


def test_a_slow_answer_is_not_asked_for_again(
    base: BaseModel, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_engine, "TIMEOUT", httpx.Timeout(10.0, read=0.2))
    server = engine(base, protocol.url)
    protocol.pause_s = 0.5
    with pytest.raises(EngineError, match=r"took longer than 0\.2 s for completions; ask for"):
        list(server.completions(None, [Request("1", 1)], SAMPLING))
    server.close()
    assert len(protocol.asked) == 1


@pytest.mark.parametrize("text", ["<html>", "[]", "{}", '{"choices": []}', '{"choices": [{}]}'])
def test_an_answer_of_another_protocol_is_a_sentence(
    base: BaseModel, protocol: Protocol, text: str
) -> None:
    server = engine(base, protocol.url)
    protocol.text = text
    with pytest.raises(EngineError, match="which is not of the OpenAI protocol; give the address"):
        list(server.completions(None, [Request("1", 1)], SAMPLING))
    server.close()
