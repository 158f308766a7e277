"""Check of the held-out problems that a recipe's checkpoints are verified and evaluated on."""

from cusp.errors import CuspError
from trainer.doctor.check import Check, failure, ok, warning
from trainer.recipe import Recipe


def held_out_tasks(recipe: Recipe) -> Check:
    """Return whether the recipe's tasks are on this box."""
    if recipe.evaluation is None:
        return warning(
            "held-out problems",
            "the recipe names none, so nothing can be verified or evaluated",
            "set `evaluation` in it, for example with kind: suite",
        )
    try:
        from trainer.evaluation.tasks import lacking

        why = lacking(recipe)
    except ImportError as error:
        return failure("held-out problems", f"{error}", "pip install 'cusp-rl[trainer]'")
    except CuspError as error:
        return failure("held-out problems", f"{error}", "name a task of `cusp tasks list`")
    if why is None:
        return ok("held-out problems", f"those of kind {recipe.evaluation.kind} are there")
    sentence, _, way_out = why.partition("; ")
    return warning("held-out problems", f"{sentence}, so nothing is verified or evaluated", way_out)
