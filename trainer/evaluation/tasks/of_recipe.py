"""The tasks that a recipe names."""

from pathlib import Path

from cusp.settings import from_environment
from trainer.chat import messages
from trainer.evaluation.tasks.of_suite import listed, suite_lacks, suite_tasks
from trainer.evaluation.tasks.problem import SPLITS, Problem, Split, TaskSets, TaskSpec
from trainer.evaluation.tasks.suites import GYM
from trainer.evaluation.tasks.task_packages import not_installed
from trainer.gym.procedural import gym_problems
from trainer.recipe import (
    GymEvaluation,
    JsonlEvaluation,
    Recipe,
    Sampling,
    SuiteEvaluation,
    TinyEvaluation,
)
from trainer.tiny.problems import draw
from trainer.training.data import DataError, read_jsonl


def tasks_of(recipe: Recipe, samples_per_problem: int | None = None) -> TaskSets:
    """Return the selection set and the report sets of a recipe.

    Raises DataError when the recipe names no task, or one that is not on this box, or the sets share a problem.
    """
    options = recipe.evaluation
    if options is None:
        raise DataError(
            "the run's recipe names no evaluation task; set `evaluation` in it, for example"
            " with kind: suite, and evaluate again"
        )
    sampling = options.sampling
    if samples_per_problem is not None:
        sampling = sampling.model_copy(update={"samples_per_problem": samples_per_problem})
    if isinstance(options, SuiteEvaluation):
        return suite_tasks(_with_samples(options, samples_per_problem), _directory())
    if isinstance(options, TinyEvaluation):
        made = _tiny(options, "selection", sampling), _tiny(options, "report", sampling)
        return TaskSets(made[0], made[1:])
    if isinstance(options, GymEvaluation):
        made = _gym(options, "selection", sampling), _gym(options, "report", sampling)
        return TaskSets(made[0], made[1:])
    selection, report = (_jsonl(options, split, sampling) for split in SPLITS)
    if shared := {each.id for each in selection.problems} & {each.id for each in report.problems}:
        raise DataError(
            f"problem {min(shared)!r} is in both {options.selection_path} and"
            f" {options.report_path}; what is chosen on must not be reported on"
        )
    return TaskSets(selection, (report,))


def lacking(recipe: Recipe) -> str | None:
    """Return a sentence on the benchmarks, packages or files that the recipe's evaluation needs and this box has not.

    Raises DataError for a name that there is not.
    """
    options = recipe.evaluation
    if isinstance(options, SuiteEvaluation):
        return suite_lacks(options, _directory())
    if isinstance(options, GymEvaluation):
        return not_installed(GYM + task.name for task in options.tasks)
    if isinstance(options, JsonlEvaluation):
        paths = (options.selection_path, options.report_path)
        if gone := [path for path in paths if not Path(path).is_file()]:
            return (
                f"there is no file {' and no file '.join(gone)}; put it there, or correct"
                " evaluation.selection_path and evaluation.report_path"
            )
    return None


def _directory() -> Path:
    return from_environment().directory


def _with_samples(options: SuiteEvaluation, samples: int | None) -> SuiteEvaluation:
    """Return the section with so many samples a problem in every set; None: its own."""
    if samples is None:
        return options
    update = {"samples_per_problem": samples}
    report, _ = listed(options)
    tasks = tuple(task.model_copy(update=update) for task in report)
    return options.model_copy(
        update={"tasks": tasks, "sampling": options.sampling.model_copy(update=update)}
    )


def _tiny(options: TinyEvaluation, split: Split, sampling: Sampling) -> TaskSpec:
    count = options.selection_problems if split == "selection" else options.report_problems
    problems = tuple(
        Problem(each.id, tuple(messages(each.question, None)), each.answer)
        for each in draw(options.seed, count, options.digits, split)
    )
    return TaskSpec("tiny-arithmetic", split, problems, "boxed_integer", sampling)


def _gym(options: GymEvaluation, split: Split, sampling: Sampling) -> TaskSpec:
    count = options.selection_problems if split == "selection" else options.report_problems
    problems = tuple(
        Problem(each.id, tuple(messages(each.question, options.system_prompt)), each.gold)
        for each in gym_problems(options.tasks, count, options.seed, split)
    )
    names = "+".join(task.name for task in options.tasks)
    return TaskSpec(f"reasoning-gym {names}", split, problems, "reasoning_gym", sampling)


def _jsonl(options: JsonlEvaluation, split: Split, sampling: Sampling) -> TaskSpec:
    path = options.selection_path if split == "selection" else options.report_path
    problems: dict[str, Problem] = {}
    for number, row in enumerate(read_jsonl(Path(path)), start=1):
        for column in ("id", options.problem_column, options.solution_column):
            if column not in row:
                raise DataError(f"problem {number} of {path} has no {column!r}")
        question = messages(str(row[options.problem_column]), options.system_prompt)
        name = str(row["id"])
        if name in problems:
            raise DataError(f"the id {name!r} comes twice in {path}")
        problems[name] = Problem(name, tuple(question), str(row[options.solution_column]))
    if not problems:
        raise DataError(f"{path} holds no problem")
    return TaskSpec(options.task, split, tuple(problems.values()), options.verifier, sampling)
