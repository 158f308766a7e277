"""Train a recipe with TRL's GRPOTrainer and LoRA, streamed to the monitor. Reads top to bottom.

python -m trainer.train tiny seed=1
torchrun --nproc-per-node=2 -m trainer.train tina_open_rs2      # what `cusp train` does on two GPUs
python -m trainer.train --resume --run-id 01J...     # goes on with that run's own recipe
"""

import argparse
import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cusp
from cusp import settings, terminal
from cusp.checkpoints import manifest, paths
from cusp.errors import CuspError, disk_full, print_error
from cusp.ids import is_id, new_id
from cusp.process import excepthook, parent
from cusp.process.machine import usable
from cusp.process.secret_files import give_to_libraries
from cusp.protocol.run import By, RunMetadata
from cusp.run_config import RECIPE_FILE
from trainer import launch
from trainer.box import Box
from trainer.recipe import Recipe
from trainer.recipe_loader import RecipeError, load_recipe, write_recipe
from trainer.training.batch_size import divided, most_processes
from trainer.training.distributed import (
    agreed,
    alone,
    exit_process,
    how_many,
    is_first,
    is_first_here,
)
from trainer.training.hardware import adapted, adapted_to_hardware, grpo_config

Progress = Callable[[str], None]


def train(
    recipe: Recipe,
    root: Path,
    *,
    run_id: str | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    progress: Progress = print,
    callbacks: Sequence[Any] = (),
) -> int:
    """Train `recipe` with checkpoints below `root`; return the last step reached.

    With `run_id` the training is streamed as an attempt of that run, without it nothing is sent. `resume`
    continues from the latest complete checkpoint, or from `start_from` (verified by the caller), with the
    same data order and random state.
    """
    silence_libraries()
    import torch
    from transformers import set_seed

    from trainer.evaluation.adapters import check_resumable
    from trainer.evaluation.selection_set import verifier_of
    from trainer.rollouts.invariants import around
    from trainer.training.callbacks import SampleCallback, say_and_stop
    from trainer.training.data import training_set
    from trainer.training.data_order import go_on
    from trainer.training.model import load_base
    from trainer.training.prompt_log import PromptLog
    from trainer.training.rewards import reward_functions
    from trainer.training.sigterm import EndWhenAsked

    recipe, changes = adapted_to_hardware(
        divided(recipe, how_many()), has_gpu=torch.cuda.is_available()
    )
    first = is_first()
    say: Progress = progress if first else _silent
    for change in changes:
        say(change)
    start = (start_from or paths.latest(root, run_id)) if resume else None
    if resume and start is None:
        say(f"no complete checkpoint in {root}: starting at step 0")

    model, tokenizer = load_base(recipe, settings.from_environment().directory / "cache", say)
    data = training_set(recipe, tokenizer)
    samples = SampleCallback(recipe.run.samples_every_steps)
    set_seed(recipe.seed)  # the adapter's initial weights must not depend on earlier random draws

    prompts = PromptLog(root)
    rewards = samples.watch(prompts.watch(reward_functions(recipe, tokenizer)))
    trainer = adapted(lambda: grpo_trainer(recipe, root, model, tokenizer, rewards, data), recipe)
    trainer.add_callback(prompts)
    say_and_stop(trainer, recipe, say)
    if start is not None:  # transformers would silently ignore an adapter that does not fit
        check_resumable(trainer.model, start)

    verifier = verifier_of(recipe, trainer, tokenizer, lambda: ending.asked)
    run = announce(recipe, root, run_id, trainer, verifier.by(None)) if run_id and first else None
    if first:  # only after announcing, which excludes other trainings of this run
        root.mkdir(parents=True, exist_ok=True)
        write_recipe(recipe, root / RECIPE_FILE)
    ending = EndWhenAsked(run)
    samples.run = run
    # `ending` before the last one, which would report `finished`.
    watching = [samples, ending, watching_callback(trainer, run, verifier)] if run_id else []
    for added in around([*watching, *callbacks], recipe, root, trainer, say):
        trainer.add_callback(added)

    if start is not None:
        go_on(trainer, start)
        say(f"going on from {start.name}")
    try:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    except BaseException as error:
        if run is not None:
            run.finish("failed", excepthook.sentence(error))
        raise
    finally:
        ending.listen_no_more()
        verifier.close()
    return int(trainer.state.global_step)


def watching_callback(trainer: Any, run: cusp.Run | None, verifier: Any) -> cusp.CuspCallback:
    """Return the callback that streams a training as `run` and verifies in it."""
    callback = cusp.CuspCallback(run=run, verifier=verifier)
    callback.reading.batches_of(trainer)
    return callback


def grpo_trainer(
    recipe: Recipe, root: Path, model: Any, tokenizer: Any, rewards: list[Any], data: Any
) -> Any:
    """Return TRL's trainer of the recipe, with a new LoRA adapter on the model."""
    import torch
    from peft import LoraConfig
    from transformers.trainer_callback import PrinterCallback

    from trainer.rollouts.measured import MeasuredGRPOTrainer
    from trainer.rollouts.vllm_backend import generating

    has_gpu = torch.cuda.is_available()
    lora = {**recipe.lora.model_dump(), "target_modules": list(recipe.lora.target_modules)}
    with generating(recipe, root, on_cpu=not has_gpu):
        trainer = MeasuredGRPOTrainer(
            model=model,
            processing_class=tokenizer,
            reward_funcs=rewards,
            args=grpo_config(grpo_arguments(recipe, root, has_gpu=has_gpu)),
            train_dataset=data,
            peft_config=LoraConfig(**lora, task_type="CAUSAL_LM"),
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def grpo_arguments(recipe: Recipe, root: Path, *, has_gpu: bool) -> dict[str, Any]:
    """Return the arguments of `trl.GRPOConfig`."""
    return {
        **recipe.grpo.model_dump(),
        "reward_weights": [reward.weight for reward in recipe.rewards],
        "output_dir": str(root),
        "seed": recipe.seed,
        "use_cpu": not has_gpu,
        "dataloader_pin_memory": has_gpu,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_total_limit": None,
        "remove_unused_columns": False,
        "report_to": [],
        "disable_tqdm": True,
    }


def announce(
    recipe: Recipe, root: Path, run_id: str, trainer: Any, verifies: By | None
) -> cusp.Run:
    """Return the attempt under which this training is streamed."""
    run = cusp.init(
        recipe.run.project,
        recipe.run.name,
        recipe.model_dump(mode="json"),
        run_id=run_id,
        policy=recipe.run.policy,
        metadata=run_metadata(recipe, trainer, verifies),
        root=root,
        tags=list(recipe.run.tags),
        must_own=True,
        says_where=False,
    )
    terminal.begun(run)  # among the training's own lines
    return run


def run_metadata(recipe: Recipe, trainer: Any, verifies: By | None) -> RunMetadata:
    """Return the metadata for the detector and the cost figures."""
    from cusp.trl.arguments import described
    from trainer.training.rewards import reward_specs

    given = RunMetadata(
        rewards=reward_specs(recipe),
        gpu_hourly_usd=recipe.run.gpu_hourly_usd,
        recipe=True,
        evaluable=recipe.evaluation is not None,
        verifies=verifies,
    )
    # The trainer's own state holds defaults until the training begins.
    state = SimpleNamespace(max_steps=recipe.last_step)
    return described(trainer.args, state, trainer.model, given)


def silence_libraries() -> None:
    """Silence third-party warnings and progress bars; errors and our own lines stay."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings(
        "ignore", module=r"(trl|transformers|peft|torch|accelerate|datasets|vllm)\b"
    )
    import datasets
    import torch
    import transformers

    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)


def _silent(_: str) -> None:
    """Discard a progress line: only rank 0 prints."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainer.train", description=__doc__)
    parser.add_argument("recipe", nargs="?", help="a YAML file or the name of a shipped recipe")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--wait", action="store_true", help="wait for the box's accelerators")
    parser.add_argument("--run-id", help="the run to record under (default: a new one)")
    parser.add_argument("--resume", action="store_true", help="go on from the latest checkpoint")
    parser.add_argument(
        "--from",
        dest="start_from",
        metavar="CHECKPOINT",
        help="with --resume: go on from this one, such as checkpoint-40 or one below pinned/",
    )
    return parser.parse_intermixed_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = parse_arguments(arguments)
    parent.end_with_parent()
    if not alone():
        silence_libraries()  # before the libraries are imported
    try:
        give_to_libraries("HF_TOKEN")
        place = settings.from_environment()
        run_id = given.run_id or place.run_id or agreed(new_id())
        if not is_id(run_id):
            raise RecipeError(f"run id {run_id!r} is no ULID of 26 characters; leave it out")
        root = usable(place.directory / "runs") / run_id
        recipe = _chosen(given, root)
        _say_what_lacks(recipe)
        start = _start(given, root)
        with holding_the_box(place.directory, run_id, wait=given.wait):
            step = train(
                recipe, root, run_id=run_id, resume=given.resume, start_from=start, progress=_print
            )
    except CuspError as error:
        return print_error(error)
    except OSError as error:
        if full := disk_full(error):
            return print_error(full)
        raise
    if is_first():
        _print(f"the training ended at step {step}")
    return 0


def holding_the_box(
    directory: Path, run_id: str | None, *, wait: bool
) -> contextlib.AbstractContextManager[None]:
    """Return a block that holds this box's accelerators; only one process of a training does."""
    if not is_first_here():
        return contextlib.nullcontext()
    box = Box(usable(directory), has_gpu=launch.visible_gpus() > 0)
    doing = f"trains run {run_id}" if run_id else "trains"
    return box.held(doing, run_id, wait=wait, say=_print)


def check(arguments: Sequence[str], processes: int | None, gpus: int) -> int:
    """Return the number of processes: the requested one, else the recipe's or resumed run's, else one a GPU.

    Of the GPUs as many as share the batch evenly. A number in a recipe without `run.prompts_per_step` is the one
    that its batch is written for, and chooses none.
    Raises, before any process is started, the error that each of them would end with.
    """
    given = parse_arguments(arguments)
    place = settings.from_environment()
    run_id = given.run_id or place.run_id
    root = place.directory / "runs" / (run_id if run_id and is_id(run_id) else "new")
    recipe = _chosen(given, root)
    own = recipe.run.processes if given.resume or recipe.run.prompts_per_step else None
    asked = processes or (own if isinstance(own, int) else None)
    chosen = asked or most_processes(recipe, max(1, gpus))
    if 0 < gpus < chosen:
        raise launch.TooFewGpus(
            f"{chosen} processes need as many GPUs and this box shows {gpus};"
            f" --processes {gpus} shares the same batch among those"
        )
    divided(recipe, chosen)
    return chosen


def _chosen(given: argparse.Namespace, root: Path) -> Recipe:
    """Return the requested recipe; for a resumed run its own one."""
    names = [given.recipe, *given.overrides] if given.recipe else []
    if given.resume and (root / RECIPE_FILE).is_file() and all("=" in name for name in names):
        return load_recipe(root / RECIPE_FILE, names)
    if not given.recipe:
        raise RecipeError("no recipe given: name one, such as `tiny`, or --resume with --run-id")
    recipe = load_recipe(given.recipe, given.overrides)
    if recipe.grpo.lacks_address:
        raise RecipeError(
            "grpo.vllm_mode = 'server' needs the server's address; give"
            " grpo.vllm_server_base_url=http://HOST:8000, or grpo.vllm_mode=colocate"
        )
    return recipe


def _start(given: argparse.Namespace, root: Path) -> Path | None:
    """Return the verified checkpoint of `--from`; None for the latest one."""
    if given.start_from is None:
        return None
    if not given.resume:
        raise RecipeError(f"--from {given.start_from} needs --resume: it says where to go on from")
    path = paths.resolve(root, given.start_from)
    manifest.verify(path)
    return path


def _say_what_lacks(recipe: Recipe) -> None:
    """Warn of held-out problems that are not on this box; DataError for a task that there is not."""
    from trainer.evaluation.tasks import lacking

    why = lacking(recipe)
    if why and is_first():
        _print(f"nothing can be verified or evaluated yet: {why}")


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(exit_process(main()))
