"""`CuspCallback`: any transformers or TRL trainer, on any number of ranks, streamed and stopped.

Rank 0 talks to the monitor. A stop that only rank 0 knew of would hang the others, so at the end of
every step all ranks agree on one small integer and act in the same step.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cusp import checkpoints, held
from cusp.errors import CuspError
from cusp.run import Run
from cusp.start import init
from cusp.wire import Command, Policy, RunMetadata

log = logging.getLogger("cusp")

_SAVE, _STOP, _STOP_AFTER_SAVE = 1, 2, 4


class CuspCallback(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Streams a training to the monitor and carries its commands out.

    Metrics, checkpoints and commands are handled by themselves; `project`, `name`, `policy`,
    `config` and `metadata` (reward ranges, prices) only add what cannot be read off the trainer. With
    `hold` the weights of what `save_total_limit` deletes are held for a while (docs/reference/retention.md).
    """

    def __init__(
        self,
        *,
        project: str | None = None,
        name: str | None = None,
        policy: Policy | None = None,
        config: Mapping[str, Any] | None = None,
        metadata: RunMetadata | None = None,
        run: Run | None = None,
        hold: bool = True,
    ) -> None:
        self.run = run
        self._given = {"project": project, "name": name, "policy": policy}
        self._config = config
        self._metadata = metadata or RunMetadata()
        self._hold = hold
        self._stop_after_save = False
        self._proposed: list[Command] = []
        self._agreed: set[str] = set()

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Announce the attempt, from rank 0; a training goes on without Cusp rather than not at all."""
        self._stop_after_save, self._proposed, self._agreed = False, [], set()
        if not state.is_world_process_zero:
            return
        try:
            self._begin(args, state, model)
        except CuspError as error:
            log.error("Cusp cannot watch this training, which goes on without it: %s", error)
        except Exception:  # a fault of ours must not end a training
            log.exception("Cusp failed, and the training goes on without it; please report this:")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Agree with all ranks on what the monitor asked for, and act on it in this step."""
        orders = self._agree(self._orders(), args)
        if orders & _SAVE:
            control.should_save = True
        if orders & _STOP_AFTER_SAVE:
            self._stop_after_save = True
        if orders & _STOP:
            control.should_save = True
            control.should_training_stop = True
        if orders and self.run is not None:
            self._acknowledge_agreement(self.run, state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        """Stream the values of this step; the summary at the end of a training is not a step."""
        if self.run is not None and logs and "train_runtime" not in logs:
            self.run.log(logs, state.global_step)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Register the checkpoint once every rank has written its part of it."""
        if _distributed():
            torch.distributed.barrier()
        if self._stop_after_save:
            control.should_training_stop = True
        if self.run is not None:
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self.run.checkpoint(path, state.global_step)
            for command in self.run.open_commands():
                if command.kind == "save" and command.command_id in self._agreed:
                    self.run.acknowledge(command, "done", step=state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Pin what is to be kept, acknowledge the stop, end the attempt; in this order."""
        if self.run is None:
            return
        stopped = next((c for c in self.run.open_commands() if c.kind == "stop"), None)
        if stopped and stopped.command_id not in self._agreed:
            reason = f"the training had already ended at step {state.global_step}"
            self.run.keep(stopped.steps)
            self.run.settle()
            self.run.acknowledge(stopped, "refused", reason=reason, step=state.global_step)
            stopped = None
        self.run.finish(
            "stopped" if stopped else "finished",
            stopped.reason if stopped else None,
            step=state.global_step,
        )

    def _begin(self, args: TrainingArguments, state: TrainerState, model: Any) -> None:
        root = Path(args.output_dir).absolute()
        if self.run is None or self.run.finished:  # the same callback may serve several trainings
            metadata = described(args, state, model, self._metadata)
            config = self._config if self._config is not None else args.to_sanitized_dict()
            self.run = None
            self.run = init(**self._given, config=config, metadata=metadata, root=root)  # type: ignore[arg-type]
        if args.save_total_limit is not None:
            self._mind_rotation(self.run, root, args.save_total_limit)
        for path in checkpoints.found_in(root):
            if (checkpoints.step_of(path) or 0) > state.global_step:
                checkpoints.abandon(path)

    def _mind_rotation(self, run: Run, root: Path, limit: int) -> None:
        if self._hold:
            run.hold()
        held_there = (
            f"so their weights are held in {root / held.HELD} ({held.MOST} checkpoints and"
            f" {held.MOST_BYTES >> 30} GiB at most)"
        )
        log.warning(
            "save_total_limit=%s lets the trainer delete the checkpoint from before the transition before"
            " it is known to matter, %s.",
            limit,
            held_there if self._hold else "and hold=False lets it; leave one of them out",
        )

    def _orders(self) -> int:
        """Return what rank 0 was told since the last step, as bits; 0 on every other rank."""
        known = self.run.open_commands() if self.run is not None else []
        self._proposed = [c for c in known if _bit(c) and c.command_id not in self._agreed]
        orders = 0
        for command in self._proposed:
            orders |= _bit(command)
        return orders

    def _agree(self, orders: int, args: TrainingArguments) -> int:
        """Return rank 0's orders on every rank: one broadcast of one integer."""
        if not _distributed():
            return orders
        shared = torch.tensor([orders], dtype=torch.int32, device=args.device)
        torch.distributed.broadcast(shared, src=0)
        return int(shared.item())

    def _acknowledge_agreement(self, run: Run, step: int) -> None:
        for command in self._proposed:
            self._agreed.add(command.command_id)
            run.acknowledge(command, "agreed", step=step)


def described(
    args: TrainingArguments, state: TrainerState, model: Any, given: RunMetadata
) -> RunMetadata:
    """Return the metadata with what the trainer's arguments tell filled in where it was not given."""
    per_step = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    found: dict[str, object] = {
        "max_steps": state.max_steps if state.max_steps > 0 else None,
        "completions_per_point": max(1, int(per_step * max(1, args.logging_steps))),
        "completion_limit_tokens": getattr(args, "max_completion_length", None),
        "save_steps": int(args.save_steps) if args.save_steps >= 1 else None,
        "gpu_count": args.world_size if args.device.type == "cuda" else 0,
    }
    if model is not None:
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        found["model_parameters"] = sum(size for size, _ in sizes)
        found["trainable_parameters"] = sum(size for size, trained in sizes if trained)
    return given.model_copy(
        update={k: v for k, v in found.items() if k not in given.model_fields_set}
    )


def _bit(command: Command) -> int:
    if command.kind == "save":
        return _SAVE
    if command.kind == "stop":
        return _STOP_AFTER_SAVE if command.mode == "after_save" else _STOP
    return 0


def _distributed() -> bool:
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())
