"""Evaluation tasks: problems with gold answers, in a selection set and a report set."""

from trainer.evaluation.tasks.of_recipe import lacking, tasks_of
from trainer.evaluation.tasks.problem import SPLITS, Problem, Split, TaskSets, TaskSpec

__all__ = ["SPLITS", "Problem", "Split", "TaskSets", "TaskSpec", "lacking", "tasks_of"]
