"""Writes which problems a step trained on: `prompts.jsonl` in the run's folder, a line a step and rank.

Each line is `{"step": 12, "rank": 0, "ids": [...]}` with the ids in the order of their completions, each once.
A generation that several steps use (`grpo.num_iterations`) is in the line of the first. After a resume the
steps since its checkpoint come again; the later line is the one that counts. The file stays on the box: with
8 problems a step it grows by about 200 bytes a step.
"""

import contextlib
import functools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.training.distributed import rank
from trainer.training.rewards import RewardFunction

PROMPTS_FILE = "prompts.jsonl"
log = logging.getLogger("cusp")


class PromptLog(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Collects the ids that reward functions are called with, and writes them at the end of the step."""

    def __init__(self, root: Path) -> None:
        self._file, self._rank = root / PROMPTS_FILE, rank()
        self._ids: dict[str, None] = {}
        self._said = False

    def watch(self, functions: Sequence[RewardFunction]) -> list[RewardFunction]:
        """Return the functions, the first one wrapped: all get the same problems."""
        first, *others = functions

        @functools.wraps(first)
        def watched(*arguments: Any, id: Sequence[str] = (), **columns: Any) -> list[float | None]:
            self._ids |= dict.fromkeys(id)
            return first(*arguments, id=id, **columns)

        return [watched, *others]

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self._ids:
            return
        line = json.dumps({"step": state.global_step, "rank": self._rank, "ids": list(self._ids)})
        self._ids = {}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # One write of one line in append mode: the ranks of a box share the file.
            with open(self._file, "ab", buffering=0) as file:
                file.write(f"{line}\n".encode())
        except OSError as error:  # a full disk costs lines, not the training
            if not self._said:
                self._said = True
                log.warning(
                    "the problems of step %d are not in %s (%s); the training goes on",
                    *(state.global_step, self._file, error.strerror),
                )


def prompts_of(root: Path) -> dict[int, dict[int, list[str]]]:
    """Return the problems of each step by rank, from a run's folder; the last line of a step counts.

    A line that cannot be read was cut off by a full disk, and the next one may be behind it; both are left out.
    """
    found: dict[int, dict[int, list[str]]] = {}
    file = root / PROMPTS_FILE
    if not file.is_file():
        return found
    for line in file.read_bytes().split(b"\n")[:-1]:  # a last line without its end was cut off
        with contextlib.suppress(ValueError, TypeError, KeyError):
            row = json.loads(line)
            found.setdefault(row["step"], {})[row["rank"]] = row["ids"]
    return found
