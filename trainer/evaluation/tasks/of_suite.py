"""The tasks of a suite, or of a list of them: problems from copies, installed packages and generators."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainer.chat import messages
from trainer.evaluation.tasks.catalogue import BOXED_PROMPT, CATALOGUE, MATH_PROMPT, benchmark
from trainer.evaluation.tasks.champ import champ_problems
from trainer.evaluation.tasks.problem import Problem, Split, TaskSets, TaskSpec
from trainer.evaluation.tasks.suites import GYM, SUITES
from trainer.evaluation.tasks.task_copies import CopiedProblem, missing, not_here, read_copy
from trainer.evaluation.tasks.task_packages import not_installed
from trainer.gym.procedural import gym_problems
from trainer.judges.multiple_choice import choice_gold
from trainer.recipe import GymTask, Sampling, SelectionTask, SuiteEvaluation, SuiteTask, Verifier
from trainer.tiny.problems import draw
from trainer.training.data import DataError

GENERATED = 200  # problems of a generated task that is reported on with `problems: null`
LETTERS = "ABCDEFGHIJ"


def suite_tasks(options: SuiteEvaluation, directory: Path) -> TaskSets:
    """Return the selection set and the report sets, which share no problem.

    Raises DataError for a task that there is not, or that is not on this box.
    """
    report, selection = listed(options)
    if why := suite_lacks(options, directory):
        raise DataError(why)
    maker = _Maker(options, directory)
    made = tuple(maker.report(task) for task in report)
    return TaskSets(maker.selection(selection, made), made)


def listed(options: SuiteEvaluation) -> tuple[tuple[SuiteTask, ...], SelectionTask]:
    """Return the tasks to report on, and the one to choose on; DataError for one that there is not."""
    suite = SUITES[options.suite] if options.suite is not None else None
    report = options.tasks or (suite.report if suite else ())
    selection = options.selection or (suite.selection if suite else None)
    assert selection is not None  # the section asks for one of the two
    for name in (selection.name, *(task.name for task in report)):
        if not is_built_in(name):
            benchmark(name)
    return report, selection


def suite_lacks(options: SuiteEvaluation, directory: Path) -> str | None:
    """Return one sentence on all benchmarks to fetch and packages to install first, with the ways out."""
    report, selection = listed(options)
    names = [*(task.name for task in report), selection.name]
    unfetched = missing(directory, (name for name in names if name in CATALOGUE))
    told = [not_here(unfetched) if unfetched else None, not_installed(names)]
    parts = [sentence.partition("; ") for sentence in told if sentence]
    if not parts:
        return None
    return "; ".join(" and ".join(part[at] for part in parts) for at in (0, 2))


def is_built_in(name: str) -> bool:
    """Return whether a task needs no copy: it is installed or generated."""
    return name in ("champ", "tiny") or name.startswith(GYM)


class _Maker:
    """Makes the tasks of one section."""

    def __init__(self, options: SuiteEvaluation, directory: Path) -> None:
        self._options, self._directory = options, directory

    def report(self, task: SuiteTask) -> TaskSpec:
        """Return a task to report on."""
        sampling = self._options.sampling.model_copy(
            update={"samples_per_problem": task.samples_per_problem}
        )
        return self._task(task.name, "report", task.problems, sampling, frozenset())

    def selection(self, task: SelectionTask, report: Sequence[TaskSpec]) -> TaskSpec:
        """Return the task to choose on, without problems that are reported on, if only with other blanks."""
        reported = frozenset(
            _plain(problem.messages[-1]["content"]) for each in report for problem in each.problems
        )
        return self._task(task.name, "selection", task.problems, self._options.sampling, reported)

    def _task(
        self,
        name: str,
        split: Split,
        count: int | None,
        sampling: Sampling,
        reported: frozenset[str],
    ) -> TaskSpec:
        judge, pool = self._pool(name, split, count)
        problems = [one for one in pool if _plain(one.messages[-1]["content"]) not in reported]
        if count is not None and len(problems) != count:
            if len(problems) < count:
                raise DataError(
                    f"{name} has {len(problems)} problems for the {split} set and {count} are asked for;"
                    " ask for fewer"
                )
            problems = _drawn(problems, count, f"{self._options.seed}/{name}/{split}")
        return TaskSpec(name, split, tuple(problems), judge, sampling, self._options.opening or "")

    def _pool(
        self, name: str, split: Split, count: int | None
    ) -> tuple[Verifier, Iterable[Problem]]:
        """Return how a task is judged, and the problems to draw from: of a generated one as many as are asked for."""
        seed = self._options.seed
        if name.startswith(GYM):
            task = GymTask(name=name.removeprefix(GYM), weight=1, config={})
            made = gym_problems([task], count or GENERATED, seed, split)
            asked = (self._problem(one.id, BOXED_PROMPT, one.question, one.gold) for one in made)
            return "reasoning_gym", list(asked)
        if name == "tiny":  # in the words that its base model knows
            additions = draw(seed, count or GENERATED, 2, split)
            return "boxed_integer", [
                self._problem(one.id, "<question>", one.question, one.answer) for one in additions
            ]
        if name == "champ":
            return "lighteval", [
                self._problem(one.id, MATH_PROMPT, one.question, one.answer)
                for one in champ_problems()
            ]
        source = CATALOGUE[name]
        copied = read_copy(self._directory, name)
        if not source.wrong:
            return source.judge, [
                self._problem(one.id, source.prompt, one.question, one.answer) for one in copied
            ]
        return source.judge, [self._choice(one, source.prompt) for one in copied]

    def _choice(self, one: CopiedProblem, prompt: str) -> Problem:
        """Return a multiple choice question, its options in an order that its id decides for ever."""
        options = [one.answer, *one.wrong]
        random.Random(one.id).shuffle(options)
        letter = LETTERS[options.index(one.answer)]
        shown = "\n".join(f"{name}) {text}" for name, text in zip(LETTERS, options, strict=False))
        gold = choice_gold(letter, options)
        return self._problem(one.id, prompt.replace("<options>", shown), one.question, gold)

    def _problem(self, name: str, prompt: str, question: str, answer: str) -> Problem:
        text = prompt.replace("<question>", question)
        return Problem(name, tuple(messages(text, self._options.system_prompt)), answer)


def _drawn(problems: Sequence[Problem], count: int, seed: str) -> list[Problem]:
    """Return `count` of the problems, the same ones whatever the order of the copy."""
    ordered = sorted(problems, key=lambda one: one.id)
    return random.Random(seed).sample(ordered, count)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
