"""What `cusp evaluate` asks for, and the part of it that only this box may say.

A name of the hub and a suite go over the network with the job. A folder of this box, or a server's address, is put
into the run's folder here, where the worker reads it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cusp import settings
from cusp.checkpoints import paths
from cusp.cli.support.requirements import need
from cusp.errors import CuspError
from cusp.run_config import RECIPE_FILE

ENGINE_NAMES = ("hf", "vllm", "openai")


class UnusableRecipe(CuspError, ValueError):
    """A recipe, or an option in place of it, cannot be used for a run; the message says why."""


@dataclass(frozen=True)
class Asked:
    """The options that replace what a run's recipe says of evaluations."""

    suite: str | None
    base: str | None
    max_new_tokens: int | None
    engine: str | None
    base_url: str | None

    def __post_init__(self) -> None:
        if self.engine not in (None, *ENGINE_NAMES):
            raise UnusableRecipe(
                f"there is no engine {self.engine!r}: give one of {', '.join(ENGINE_NAMES)}"
            )
        if (self.engine == "openai") != (self.base_url is not None):
            raise UnusableRecipe("--engine openai and --base-url URL belong together; give both")

    @property
    def of_this_box(self) -> bool:
        """Whether something is named that is not taken over the network."""
        return self.base_url is not None or self._folder is not None

    @property
    def over_the_network(self) -> dict[str, Any]:
        """The part of the request's body."""
        return {
            "suite": self.suite,
            "base": self.base,
            "max_new_tokens": self.max_new_tokens,
            "engine": self.engine,
        }

    @property
    def _folder(self) -> Path | None:
        path = Path(self.base) if self.base is not None else None
        return path.resolve() if path is not None and path.is_dir() else None

    @property
    def base_here(self) -> str | None:
        """The base model as a worker on this box finds it."""
        return str(self._folder) if self._folder else self.base


def give_here(run_id: str, asked: Asked) -> str:
    """Write what is asked for into the run's folder on this box, and return the hash by which a job names it.

    The run's recipe stays as it is.
    """
    need("evaluate --base FOLDER", "trainer")
    from trainer.jobs.asked_evaluation import (
        AskedEvaluation,
        GivenHere,
        combined,
        names_its_base,
        pretrained,
    )
    from trainer.recipe import OpenAIEngine, PretrainedModel
    from trainer.recipe_loader import load_recipe

    root = folder_of(run_id)
    own = load_recipe(root / RECIPE_FILE) if (root / RECIPE_FILE).is_file() else None
    if own is not None and asked.base is not None:
        raise UnusableRecipe(names_its_base(run_id))
    if own is None and asked.base is None:
        raise UnusableRecipe(f"run {run_id} has no recipe; name its base model with --base")
    model = own.model if own else pretrained(str(asked.base_here))
    served = None
    if asked.base_url is not None:
        name = model.id if isinstance(model, PretrainedModel) else model.kind
        served = OpenAIEngine(kind="openai", base_url=asked.base_url, model=name)
    local = AskedEvaluation(
        suite=asked.suite,
        max_new_tokens=asked.max_new_tokens,
        engine=None if served else asked.engine,  # type: ignore[arg-type]  # checked before
    )
    section = combined(own, model, local, served).evaluation
    assert section is not None
    return GivenHere(base=asked.base_here, evaluation=section).write(root)


def folder_of(run_id: str) -> Path:
    """Return the run's folder on this box; UnusableRecipe if there is none."""
    root = paths.run_root(settings.from_environment().directory, run_id)
    if not root.is_dir():
        raise UnusableRecipe(
            f"run {run_id} has no folder on this box ({root}); do this where it was trained, with the"
            " same CUSP_DIR"
        )
    return root
