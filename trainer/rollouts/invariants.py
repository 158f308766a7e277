"""Shows that the model which generates is the model which trains: by numbers, and by a sentence where it is not."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.recipe import Recipe
from trainer.rollouts.base_weights import base_hash, sharded
from trainer.rollouts.measured import MEAN
from trainer.rollouts.merged_delta import merged_delta_error

FILE = "base_hash.json"
MERGED_DELTA = "merged_delta_error"
# A tenth of the adapter's change. At a learning rate of 1e-6 a bfloat16 merge loses all of it in the first
# step and .62 at step 450 (simulated on one layer of 1536 x 1536).
MERGED_DELTA_LEVEL = 0.1
# In nats a token. Between transformers and vLLM with the same weights 1e-7 was measured in float32 and .0005 to
# .002 in bfloat16; with weights that are 20 steps old .2.
LOGP_LEVEL = 0.05


class BaseWeights(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Hashes the base weights before and after a training, keeps both in its folder and compares them."""

    def __init__(self, recipe: Recipe, root: Path, say: Callable[[str], None]) -> None:
        self._file, self._say = root / FILE, say
        self._merged = recipe.grpo.use_vllm and recipe.rollouts.sync == "merged"
        self._before: str | None = None
        self._failed = False

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Hash, and compare with an earlier attempt of the run: its adapter belongs to that base."""
        if not state.is_world_process_zero:
            return
        self._before = base_hash(model)
        earlier = _read(self._file).get("before")
        if earlier is None or self._before is None:
            self._write({"before": self._before})
        elif earlier != self._before:
            self._say(
                "the base weights are not those that this run began with"
                f" (sha256 {self._before[:12]}, then {earlier[:12]}): its adapter was trained on others;"
                " look at model.id, model.revision and model.dtype"
            )

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Hash again; say so if a base weight changed."""
        if self._before is None:
            return
        after = base_hash(model)
        content = {"before": self._before, "after": after, "step": state.global_step}
        self._write({**_read(self._file), **content})
        if after != self._before:
            why = (
                "TRL merged the adapter into them and took it out again in each step; with"
                " rollouts.sync=adapter they stay"
                if self._merged
                else "nothing but the adapter should have been trained"
            )
            self._say(
                f"the base weights changed during the training: {why}. The kept adapter, on the"
                " base as it was published, is not quite the model that was trained"
            )

    def _write(self, content: Mapping[str, object]) -> None:
        """Write what is known; a full disk costs this file, not the training."""
        part = self._file.with_suffix(".part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(content, indent=1) + "\n")
            part.replace(self._file)
        except OSError as error:
            if not self._failed:
                self._say(
                    f"{self._file} cannot be written ({error.strerror}); the training goes on"
                )
            self._failed = True


class MergedDelta(TrainerCallback):  # type: ignore[misc]
    """Logs `merged_delta_error` in each step that saves: how much of the adapter a merge at this precision loses."""

    def __init__(self, trainer: Any, say: Callable[[str], None]) -> None:
        self._trainer, self._say = trainer, say
        self._said = False

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Compute it before the step is logged."""
        if not control.should_save or sharded(model):
            return
        error = merged_delta_error(model)
        self._trainer._metrics["train"][MERGED_DELTA].append(error)
        if error > MERGED_DELTA_LEVEL and not self._said:
            self._said = True
            self._say(
                f"step {state.global_step}: merged into the base, the adapter loses {error:.0%} of its"
                f" change to rounding (more than {MERGED_DELTA_LEVEL:.0%}), so vLLM generates with less"
                " than was trained; rollouts.sync=adapter loses nothing"
            )


class LogpDifference(TrainerCallback):  # type: ignore[misc]
    """Says so once when vLLM's log-probabilities are far from the training's."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._said = say, False

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at the step's value."""
        found = (logs or {}).get(MEAN)
        if isinstance(found, float) and found > LOGP_LEVEL and not self._said:
            self._said = True
            self._say(
                f"step {state.global_step}: vLLM's log-probabilities are {found:.2g} a token from the"
                f" training's (more than {LOGP_LEVEL:g}): it generates with other weights, at another"
                " precision or another temperature, and a transition seen now may come from that"
            )


class Close(TrainerCallback):  # type: ignore[misc]
    """Removes what was written for vLLM at the end of a training."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def on_train_end(self, *arguments: Any, **kwargs: Any) -> None:
        """Close the backend."""
        self._trainer.vllm_generation.close()


def around(
    callbacks: Sequence[Any],
    recipe: Recipe,
    root: Path,
    trainer: Any,
    say: Callable[[str], None],
) -> list[Any]:
    """Return the callbacks of a training with those of its vLLM before and behind them, if it has one.

    Before, as one of them may end the training; behind, as any of them may have asked for a checkpoint.
    """
    if not recipe.grpo.use_vllm:
        return list(callbacks)
    before = [BaseWeights(recipe, root, say), LogpDifference(say), Close(trainer)]
    behind = [MergedDelta(trainer, say)] if recipe.rollouts.sync == "merged" else []
    return [*before, *callbacks, *behind]


def _read(file: Path) -> dict[str, Any]:
    """Return what an earlier attempt left; {} without one, or if it cannot be read."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
