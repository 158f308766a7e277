"""Finds the golds that no answer can be compared with, before anything is generated."""

from collections.abc import Iterable, Mapping

from trainer.evaluation.tasks import TaskSpec
from trainer.recipe import Verifier as Name
from trainer.training.data import DataError
from trainer.verifiers import Verifier

NAMED = 5  # problems that a message names; it says how many there are


def check_golds(tasks: Iterable[TaskSpec], verifiers: Mapping[Name, Verifier]) -> None:
    """Raise DataError with the problems whose gold their task's verifier cannot read."""
    for task in tasks:
        golds = [problem.answer for problem in task.problems]
        if not (places := verifiers[task.verifier].undecidable(golds)):
            continue
        wrong = [task.problems[place] for place in places[:NAMED]]
        named = ", ".join(f"{each.id} ({each.answer[:40]!r})" for each in wrong)
        raise DataError(
            f"{len(places)} of the {len(golds)} problems of {task.name} have a gold answer that the verifier"
            f" {task.verifier} cannot read, so no completion could be right: {named};"
            " correct them, leave them out, or name another verifier"
        )
