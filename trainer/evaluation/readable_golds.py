"""Finds the golds that no answer can be compared with, before anything is generated."""

from collections.abc import Sequence
from contextlib import ExitStack, closing

from trainer.evaluation.tasks import TaskSpec
from trainer.training.data import DataError
from trainer.verifiers import Verifier, make_verifiers

NAMED = 5  # problems that a message names; it says how many there are


def check_golds(tasks: Sequence[TaskSpec]) -> None:
    """Raise DataError with the problems whose gold their task's verifier cannot read."""
    verifiers = make_verifiers(task.verifier for task in tasks)
    with ExitStack() as stack:
        for verifier in verifiers.values():
            stack.enter_context(closing(verifier))
        for task in tasks:
            _check(task, verifiers[task.verifier])


def _check(task: TaskSpec, verifier: Verifier) -> None:
    golds = [problem.answer for problem in task.problems]
    wrong = [task.problems[place] for place in verifier.undecidable(golds)]
    if wrong:
        named = ", ".join(f"{each.id} ({each.answer[:40]!r})" for each in wrong[:NAMED])
        raise DataError(
            f"{len(wrong)} of the {len(golds)} problems of {task.name} have a gold answer that the verifier"
            f" {task.verifier} cannot read, so no completion could be right: {named};"
            " correct them, leave them out, or name another verifier"
        )
