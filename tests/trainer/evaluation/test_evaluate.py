"""Evaluations are reproducible sample by sample and never open a pickle."""

import copy
import json
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from trainer.evaluation.adapters import AdapterError
from trainer.evaluation.engines import Completion, Finished, Request
from trainer.evaluation.engines.transformers_engine import drawing, with_adapter
from trainer.evaluation.evaluate import Evaluation, evaluate, rows_of, summary
from trainer.evaluation.row_file import RowFile
from trainer.evaluation.sample_row import SampleRow
from trainer.evaluation.tasks import tasks_of
from trainer.recipe import Recipe, Sampling
from trainer.training.data import DataError
from trainer.training.model import load_base
from trainer.verifiers import BoxedInteger

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours

SAMPLING = Sampling(
    samples_per_problem=1, max_new_tokens=12, temperature=1.0, top_p=1.0, batch_size=64
)
PROMPTS = [f"<|user|>{n}+25=<|assistant|><think>\n" for n in (5, 17, 250)]


@pytest.fixture
def base(small: Callable[..., Recipe], cusp_dir: Path) -> tuple[Any, Any]:
    return load_base(small(), cusp_dir / "cache", lambda _: None)


def generate(
    model: Any, tokenizer: Any, requests: list[Request], sampling: Sampling
) -> list[Completion]:
    found = dict(one for done in drawing(model, tokenizer)(requests, sampling) for one in done)
    return [found[place] for place in range(len(requests))]


def test_a_sample_does_not_depend_on_the_others_in_its_batch(base: tuple[Any, Any]) -> None:
    model, tokenizer = base
    requests = [Request(prompt, seed) for prompt in PROMPTS for seed in range(4)]
    together = generate(model, tokenizer, requests, SAMPLING)
    alone = [generate(model, tokenizer, [request], SAMPLING)[0] for request in requests]
    backwards = generate(model, tokenizer, requests[::-1], SAMPLING)[::-1]
    assert together == alone == backwards
    assert len({each.text for each in together}) >= 4  # the seeds, at least
    assert {each.finish_reason for each in together} <= {"stop", "length"}
    assert all(each.tokens == 12 for each in together if each.finish_reason == "length")


def test_a_tokenizer_without_padding_pads_with_its_end(base: tuple[Any, Any]) -> None:
    model, tokenizer = base
    requests = [Request(prompt, seed) for seed, prompt in enumerate(PROMPTS)]
    padded = generate(model, tokenizer, requests, SAMPLING)
    bare = copy.deepcopy(tokenizer)
    bare.pad_token = None  # as of Llama 3, Mistral and GPT-2
    assert generate(model, bare, requests, SAMPLING) == padded


def test_without_a_chat_template_the_question_is_the_prompt(
    small: Callable[..., Recipe], base: tuple[Any, Any]
) -> None:
    model, tokenizer = base
    selection = tasks_of(small(), samples_per_problem=1).selection
    bare, prompts = copy.deepcopy(tokenizer), list[str]()
    bare.chat_template = None  # as of a base model

    def draw(requests: Sequence[Request], sampling: Sampling) -> Iterator[Finished]:
        prompts.extend(each.prompt for each in requests)
        return drawing(model, bare)(requests, sampling)

    evaluate(draw, bare, selection, BoxedInteger(), seed=5)
    assert prompts == [problem.messages[0]["content"] for problem in selection.problems]


def test_temperature_0_takes_the_most_likely_token_each_time(base: tuple[Any, Any]) -> None:
    model, tokenizer = base
    greedy = SAMPLING.model_copy(update={"temperature": 0.0, "top_p": 0.5})
    assert Sampling.model_validate(greedy.model_dump()) == greedy
    found = generate(model, tokenizer, [Request(p, n) for n, p in enumerate(PROMPTS)], greedy)
    others = generate(model, tokenizer, [Request(p, 7) for p in PROMPTS], greedy)
    assert [each.text for each in found] == [each.text for each in others]
    for prompt, completion in zip(PROMPTS, found, strict=True):
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        start = ids.shape[1]
        for _ in range(completion.tokens):
            best = model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)
            ids = torch.cat([ids, best], dim=1)
        assert tokenizer.decode(ids[0, start:], skip_special_tokens=True) == completion.text


def test_equal_evaluations_are_equal_row_by_row(
    small: Callable[..., Recipe], base: tuple[Any, Any], tmp_path: Path
) -> None:
    selection, (report,) = tasks_of(small(), samples_per_problem=3)
    assert not {p.id for p in selection.problems} & {p.id for p in report.problems}

    def scored(seed: int) -> Evaluation:
        return evaluate(drawing(*base), base[1], selection, BoxedInteger(), seed=seed)

    first = scored(5)
    assert first == scored(5)
    assert first != scored(6)
    assert (first.n_problems, first.n_samples, len(first.rows)) == (8, 24, 24)
    assert [row[1] for row in first.rows[:3]] == [0, 1, 2]


def test_an_evaluation_goes_on_with_the_rows_that_the_disk_has(
    small: Callable[..., Recipe], base: tuple[Any, Any], tmp_path: Path
) -> None:
    model, tokenizer = base
    task = tasks_of(small("evaluation.sampling.batch_size=4"), samples_per_problem=2).selection
    file, draw = tmp_path / "rows.jsonl", drawing(model, tokenizer)
    there: list[int] = []

    def interrupted(done: int) -> None:
        there.append(done)
        if done == 8:
            raise KeyboardInterrupt

    def rows(progress: Callable[[int], None] = there.append) -> list[SampleRow]:
        return rows_of(
            draw, lambda: tokenizer, task, BoxedInteger(), seed=5, kept=RowFile(file),
            progress=progress,
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        rows(interrupted)
    kept = file.read_bytes()
    assert kept.count(b"\n") == 8 == there[-1]
    file.write_bytes(kept + b'["7+8=", 1, 0.0, 3')  # torn by a kill
    there.clear()
    whole = rows()
    assert there == [12, 16]
    assert file.read_bytes().startswith(kept)
    assert whole == rows_of(draw, lambda: tokenizer, task, BoxedInteger(), seed=5)
    there.clear()
    assert summary(task, rows()) == summary(task, whole)
    assert there == []  # nothing is generated


def test_an_adapter_is_loaded_into_a_copy_and_a_pickle_is_never_opened(
    base: tuple[Any, Any], tmp_path: Path
) -> None:
    model, tokenizer = base
    before = model.model.layers[0].mlp.up_proj.weight.clone()
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(r=4, target_modules=["up_proj"]))
    torch.nn.init.constant_(
        adapted.base_model.model.model.layers[0].mlp.up_proj.lora_B["default"].weight, 0.3
    )
    adapted.save_pretrained(tmp_path / "good")
    merged = with_adapter(model, tmp_path / "good")
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, before)
    ids = tokenizer(PROMPTS[:1], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected, actual = adapted.eval()(input_ids=ids).logits, merged(input_ids=ids).logits
    assert torch.allclose(expected, actual, atol=1e-4)

    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "adapter_config.json").write_bytes((tmp_path / "good/adapter_config.json").read_bytes())
    (bad / "adapter_model.bin").write_bytes(pickle.dumps(Boom()))
    with pytest.raises(AdapterError, match="other formats are never loaded"):
        with_adapter(model, bad)
    assert not hasattr(sys, "cusp_boom")


class Boom:
    """A pickle that leaves a trace when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import sys; sys.cusp_boom = True",)


def test_a_task_from_local_files_keeps_its_two_sets_apart(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    def recipe(report: str) -> Recipe:
        options = {
            "kind": "jsonl", "task": "mine", "problem_column": "q", "solution_column": "a",
            "selection_path": str(tmp_path / "s.jsonl"), "report_path": str(tmp_path / report),
            "verifier": "boxed_integer", "system_prompt": None, "sampling": SAMPLING.model_dump(),
        }  # fmt: skip
        return small(f"evaluation={json.dumps(options)}")

    (tmp_path / "s.jsonl").write_text('{"id": 1, "q": "1+1=", "a": 2}\n')
    (tmp_path / "r.jsonl").write_text('{"id": 2, "q": "1+2=", "a": 3}\n')
    selection, (report,) = tasks_of(recipe("r.jsonl"))
    assert (selection.problems[0].id, report.problems[0].answer) == ("1", "3")
    assert selection.sha256 != report.sha256
    with pytest.raises(DataError, match="is in both"):
        tasks_of(recipe("s.jsonl"))
    with pytest.raises(DataError, match="names no evaluation task"):
        tasks_of(small("evaluation=null"))
