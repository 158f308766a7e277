"""What a judge says of rows: golds it cannot read are named first, the majority's answer is told."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from trainer.evaluation import readable_golds
from trainer.evaluation.engines import Completion, Finished, Request
from trainer.evaluation.evaluate import majority_of, rows_of
from trainer.evaluation.row_file import RowFile
from trainer.evaluation.sample_row import SampleRow
from trainer.evaluation.tasks import Problem, TaskSpec
from trainer.judges import choice_gold
from trainer.recipe import Sampling
from trainer.tiny.tokenizer import make_tokenizer
from trainer.training.data import DataError
from trainer.verifiers import BoxedInteger, Score, make_verifiers, preset_of

TWO = Sampling(samples_per_problem=2, max_new_tokens=8, temperature=1.0, top_p=1.0, batch_size=4)


def check_golds(tasks: list[TaskSpec]) -> None:
    verifiers = make_verifiers(each.verifier for each in tasks)
    with ExitStack() as stack:
        for verifier in verifiers.values():
            stack.enter_context(closing(verifier))
        readable_golds.check_golds(tasks, verifiers)


def task(verifier: str, golds: list[str]) -> TaskSpec:
    asked = ({"role": "user", "content": "?"},)
    problems = tuple(Problem(f"p{n}", asked, gold) for n, gold in enumerate(golds))
    return TaskSpec("mine", "report", problems, verifier, TWO)  # type: ignore[arg-type]


def test_golds_that_cannot_be_read_are_named_before_anything_is_generated() -> None:
    good = task("lighteval", ["7", "Evelyn", r"\frac{1}{2}"])
    letters = task("choice", [choice_gold("B", ["4", "5"])])
    check_golds([good, letters, task("boxed_integer", ["7"])])
    broken = task("lighteval", ["7", r"\frac{1}{2", "", "8"])
    with pytest.raises(DataError) as raised:
        check_golds([good, broken])
    assert str(raised.value) == (
        "2 of the 4 problems of mine have a gold answer that the verifier lighteval cannot read, so no completion"
        r" could be right: p1 ('\\frac{1}{2'), p2 ('');"
        " correct them, leave them out, or name another verifier"
    )
    with pytest.raises(DataError, match=r"verifier choice cannot read.*p0"):
        check_golds([task("choice", ["the second"])])


def row(problem: str, sample: int, score: float | None, answer: str | None) -> SampleRow:
    return SampleRow(problem, sample, score, 3, "stop", 1, "text", answer)


def test_an_evaluation_tells_the_majority_and_how_it_was_judged() -> None:
    rows = [
        row("p0", 0, 1.0, "7"),
        row("p0", 1, None, None),
        row("p1", 0, 0.0, "3"),
        row("p1", 1, 1.0, "8"),
    ]
    found = majority_of(rows, 2)
    assert found is not None
    assert (found.value, found.problems) == (0.75, 2)
    assert found.low < 0.75 < found.high
    assert preset_of("math_verify") == "reward"


def test_one_sample_or_rows_without_answers_have_no_majority() -> None:
    rows = [row("p0", 0, 1.0, "7"), row("p1", 0, 0.0, "3")]
    assert majority_of(rows, 1) is None
    assert majority_of([each._replace(answer=None) for each in rows], 2) is None


def test_the_preset_is_part_of_a_tasks_identity() -> None:
    reward = task("math_verify", ["7"])
    assert reward.sha256 != dataclasses.replace(reward, verifier="lighteval").sha256


class Dies(BoxedInteger):
    """Decides nothing until it lives again."""

    lives, asked = False, 0

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]:
        self.asked += len(golds)
        return super().score(completions, golds) if self.lives else [None] * len(golds)


def test_rows_that_were_not_decided_are_judged_again_and_not_made_again(tmp_path: Path) -> None:
    problems, file = task("boxed_integer", ["7", "8"]), tmp_path / "rows.jsonl"
    tokenizer, verifier = make_tokenizer(), Dies()

    def draw(requests: Sequence[Request], sampling: Sampling) -> Iterator[Finished]:
        made.extend(requests)
        yield [(n, Completion(r"\boxed{7}", 3, "stop")) for n in range(len(requests))]

    def scores() -> list[Score]:
        rows = rows_of(draw, lambda: tokenizer, problems, verifier, seed=0, kept=RowFile(file))
        return [row.score for row in rows]

    made: list[Request] = []
    assert scores() == [None] * 4
    assert scores() == [None] * 4
    lines = file.read_bytes().count(b"\n")
    verifier.lives = True
    assert scores() == [1.0, 1.0, 0.0, 0.0]
    asked = verifier.asked
    assert scores() == [1.0, 1.0, 0.0, 0.0]
    assert (len(made), lines, verifier.asked) == (4, 4, asked)
