"""What an evaluate job scores on: the run's recipe, with what was asked for in its place.

A run that was not started with `cusp train` has no recipe; then a suite is asked for, and the base model is named,
or read from the adapter where it is one of the hub. Nothing of this box is opened or called for what came over
the network: suites and tasks are names of the catalogue, a base model is a name of the hub. What only this box may
say, a folder or a server, is in a file of the run's folder (`GivenHere`), which a job refers to and nothing else reads.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cusp.checkpoints import paths
from cusp.run_config import RECIPE_FILE
from trainer import launch
from trainer.evaluation.tasks.suites import SUITES
from trainer.jobs.asked_recipe import is_hub_name
from trainer.jobs.run_folder import local_recipe
from trainer.recipe import (
    HfEngine,
    OpenAIEngine,
    PretrainedModel,
    Recipe,
    Sampling,
    SuiteEvaluation,
    SuiteTask,
    VllmEngine,
)
from trainer.recipe.model_kinds import Model
from trainer.recipe.problem_kinds import Evaluation
from trainer.recipe_loader import RecipeError, load_recipe, parse
from trainer.rollouts import platform

ENGINES: dict[str, HfEngine | VllmEngine] = {
    "hf": HfEngine(kind="hf"),
    "vllm": VllmEngine(kind="vllm", gpu_memory_utilization=0.9, max_model_len=None),
}
TINAS = Sampling(
    samples_per_problem=1, max_new_tokens=32_768, temperature=0.6, top_p=0.95, batch_size=512
)
"""Of Tina's tables; for a run whose recipe says nothing of evaluations."""

HF_BATCH = 8
"""Completions at once where a section that was not written for `hf` is sampled with it: transformers keeps the keys
and values of all until the longest has ended: at 32,768 tokens 28 GiB for 8 of Qwen3-0.6B (112 KiB a token)."""

GIVEN_FILE = "evaluation-{}.json"
"""In a run's folder: what `cusp evaluate` was given on this box, named by a hash of it, as several may wait. The run's
recipe stays as it is."""

SKELETON = "tiny"  # whose sections on training an evaluation does not read


class AskedEvaluation(BaseModel):
    """What a job asks for in place of the run's own evaluation section; None: as that says."""

    model_config = ConfigDict(frozen=True)
    suite: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    base: Annotated[str, Field(max_length=200)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    engine: Literal["hf", "vllm"] | None = None
    given_here: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None  # GIVEN_FILE's hash


class GivenHere(BaseModel):
    """What was given on this box: the base model of a run without a recipe, and the section to evaluate by."""

    model_config = ConfigDict(frozen=True)
    base: str | None
    evaluation: Evaluation

    def write(self, root: Path) -> str:
        """Put it into the run's folder beside what was given before, and return its hash."""
        text = self.model_dump_json(indent=2)
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        part = root / f"{GIVEN_FILE.format(name)}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(root / GIVEN_FILE.format(name))
        return name


def asked_for(root: Path, asked: AskedEvaluation, checkpoints: list[str]) -> Recipe:
    """Return the recipe to evaluate a run by; `checkpoints` are the candidates' paths below its root.

    Raises RecipeError where the base model or the problems are not known.
    """
    if asked == AskedEvaluation():
        return local_recipe(root)
    if asked.base is not None:
        check_base(asked.base)
    given = _given(root, asked.given_here) if asked.given_here else None
    own = None
    if (asked.suite is None and given is None) or (root / RECIPE_FILE).is_file():
        own = local_recipe(root)
    if own is not None and (asked.base or (given and given.base)):
        raise RecipeError(names_its_base(root.name))
    if given is not None:
        base = pretrained(given.base) if given.base else local_recipe(root).model
        return _with(own, base, given.evaluation)
    model = pretrained(asked.base) if asked.base else own.model if own else None
    return combined(own, model or pretrained(base_of(root, checkpoints)), asked)


def combined(
    own: Recipe | None, model: Model, asked: AskedEvaluation, served: OpenAIEngine | None = None
) -> Recipe:
    """Return `own`, or a recipe that only evaluates, with this base model and what is asked for."""
    section = own.evaluation if own else None
    if asked.suite is not None:
        section = _suite(own, asked.suite)
    if section is None:
        raise RecipeError(
            "the run's recipe names no evaluation task; ask with --suite, such as smoke"
        )
    engine = served or (ENGINES[asked.engine] if asked.engine else section.engine)
    sampling = section.sampling
    before = own.evaluation if own else None
    if engine.kind == "hf" and (before is None or before.engine.kind != "hf"):
        fewer = min(HF_BATCH, sampling.batch_size)
        sampling = sampling.model_copy(update={"batch_size": fewer})
    if asked.max_new_tokens is not None:
        sampling = sampling.model_copy(update={"max_new_tokens": asked.max_new_tokens})
    section = section.model_copy(update={"engine": engine, "sampling": sampling})
    return _with(own, model, section)


def check_base(name: str) -> None:
    """Raise RecipeError for a base model that is no name of the hub."""
    if not is_hub_name(name):
        raise RecipeError(
            f"the base model {name!r:.80} is no name of the Hugging Face hub, such as OWNER/NAME; a folder"
            " of this box is named with `cusp evaluate --base FOLDER` on the box"
        )


def names_its_base(run_id: str) -> str:
    """Return why no other base model is taken for a run with a recipe."""
    return f"run {run_id} has a recipe, which names its base model; leave --base out"


def _given(root: Path, name: str) -> GivenHere:
    file = GIVEN_FILE.format(name)
    try:
        return GivenHere.model_validate_json((root / file).read_bytes())
    except (OSError, ValueError):
        raise RecipeError(
            f"there is no {file} in {root} that can be read; ask with `cusp evaluate` on this box once more"
        ) from None


def _with(own: Recipe | None, model: Model, section: Evaluation) -> Recipe:
    changed = (own or load_recipe(SKELETON)).model_copy(
        update={"model": model, "evaluation": section}
    )
    return parse(changed.model_dump(mode="json"), Path("what was asked for"))


def pretrained(name: str) -> PretrainedModel:
    """Return a base model by its name on the hub or its folder, as it is there."""
    return PretrainedModel(
        kind="pretrained",
        id=name,
        revision=None,
        dtype="bfloat16",
        attn_implementation="sdpa",
        pad_token=None,
        chat_template=None,
    )


def base_of(root: Path, checkpoints: list[str]) -> str:
    """Return the base model that the first checkpoint's adapter names, if it is one of the hub; else RecipeError."""
    name = None
    if checkpoints:
        file = paths.resolve(root, checkpoints[0]) / "adapter_config.json"
        try:
            name = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
        except (OSError, ValueError, AttributeError):
            name = None
    if not isinstance(name, str) or not is_hub_name(name):
        raise RecipeError(
            f"the run has no {RECIPE_FILE}, and its adapter names {name!r:.80} as its base, which is no name of the"
            " Hugging Face hub; name the base model with --base"
        )
    return name


def _usual() -> HfEngine | VllmEngine:
    """Return the engine of a run without a recipe: vLLM where it is installed and there is a GPU."""
    return ENGINES["vllm" if platform.installed() and launch.visible_gpus() > 0 else "hf"]


def _suite(own: Recipe | None, suite: str) -> SuiteEvaluation:
    """Return the section of a suite, or of tasks joined by commas, sampled and asked as the run's own says."""
    before = own.evaluation if own else None
    listed = None if suite in SUITES else _tasks(suite)
    again = before if isinstance(before, SuiteEvaluation) else None
    asked_by = getattr(before or (own.data if own else None), "system_prompt", None)
    values = {
        "kind": "suite",
        "suite": None if listed else suite,
        "tasks": listed,
        "selection": SUITES["offline"].selection.model_dump() if listed else None,
        "seed": again.seed if again else 0,
        "system_prompt": asked_by,
        "opening": again.opening if again else None,
        "sampling": (before.sampling if before else _sampling(suite)).model_dump(),
        "engine": (before.engine if before else _usual()).model_dump(),
    }
    return SuiteEvaluation.model_validate(values)


def _sampling(suite: str) -> Sampling:
    if suite not in SUITES:
        return TINAS
    return TINAS.model_copy(update={"max_new_tokens": SUITES[suite].max_new_tokens})


def _tasks(names: str) -> list[dict[str, object]]:
    listed = [each.strip() for each in names.split(",")]
    return [
        SuiteTask(name=name, samples_per_problem=1, problems=None).model_dump()
        for name in dict.fromkeys(listed)
        if name
    ]
