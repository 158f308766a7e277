"""What a worker finds in a run's folder on its own box: the recipe, and checkpoints it has hashed.

A path from the network is only ever a name below the run's root, which this box alone decides on.
"""

from pathlib import Path

from cusp import checkpoints
from cusp.config import RECIPE_FILE
from cusp.ids import is_id
from trainer.config import Recipe
from trainer.recipe import RecipeError, load_recipe


def has_folder(directory: Path, run_id: str) -> bool:
    """Return whether the run was trained on this box, or its folder brought here."""
    return is_id(run_id) and (directory / "runs" / run_id).is_dir()


def local_recipe(root: Path) -> Recipe:
    """Return the recipe stored with the run on this box; RecipeError when there is none."""
    file = root / RECIPE_FILE
    if not file.is_file():
        raise RecipeError(
            f"there is no {RECIPE_FILE} in {root}, so the base model and the task are not known;"
            " train with `cusp train`, or put a recipe there"
        )
    return load_recipe(file)


def verified(root: Path, relative: str, sha256: str | None) -> Path:
    """Return the checkpoint's folder after hashing it.

    Raises CheckpointError when it is missing, changed or not what the monitor registered.
    """
    path = checkpoints.resolve(root, relative)
    manifest = checkpoints.verify(path)
    if manifest.sha256 != sha256:
        raise checkpoints.CheckpointError(
            f"{relative} is another checkpoint now than the one that was registered"
        )
    return path
