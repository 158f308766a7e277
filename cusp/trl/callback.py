"""`CuspCallback` for transformers and TRL trainers, on any number of ranks.

Rank 0 talks to the monitor. A stop on rank 0 alone would hang the others, so at the end of every step rank 0
broadcasts its orders as one small integer (`orders.py`), and all ranks act in the same step.
"""

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cusp import settings, terminal, user_options
from cusp.checkpoints import branches, lineage, rotation
from cusp.checkpoints.lineage import Lineage
from cusp.errors import CuspError
from cusp.process import excepthook
from cusp.process.harmless import harmless
from cusp.protocol.run import Policy, RunMetadata
from cusp.run import Run
from cusp.start import init
from cusp.trl import orders, train_call
from cusp.trl.arguments import described, warnings_on
from cusp.trl.attendance import Attendance, distributed
from cusp.trl.orders import Orders
from cusp.trl.samples import Generation
from cusp.trl.saving.extra_saves import ExtraSaves
from cusp.trl.saving.no_room import LeftOut
from cusp.trl.scores import Evaluate
from cusp.trl.trainer_reading import TrainerReading
from cusp.trl.verifying.verifier import CommandVerifier

log = logging.getLogger("cusp")

Logs = Mapping[str, object]
_UNCHANGING = (float, int, str, bytes, type(None))


class CuspCallback(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Streams a training to the monitor and carries out its commands.

    Metrics, checkpoints and commands need no arguments; `project`, `name`, `policy` (or one of its actions),
    `config`, `tags`, `roles` and `metadata` (reward ranges, prices) add information that the trainer does not
    have. With `hold` the weights of checkpoints that `save_total_limit` deletes are held for a while
    (docs/reference/retention.md). `evaluate(path)` returns a score from 0 to 1 for each of the same held-out
    problems; it is called when the monitor has a suspicion to verify, which blocks the training, and at its
    end. `cusp.watch(trainer)` creates a callback that also reads the trainer.
    """

    def __init__(
        self,
        *,
        project: str | None = None,
        name: str | None = None,
        policy: Policy | str | None = None,
        config: Mapping[str, Any] | None = None,
        metadata: RunMetadata | None = None,
        roles: user_options.Roles | None = None,
        tags: list[str] | None = None,
        run: Run | None = None,
        hold: bool = True,
        evaluate: Evaluate | None = None,
        verifier: CommandVerifier | None = None,
    ) -> None:
        self.run = run
        self.reading = TrainerReading(metadata or RunMetadata(), user_options.checked_roles(roles))
        self.reading.evaluate = user_options.checked_evaluate(evaluate)
        self._verifier = verifier or CommandVerifier()
        self._given: dict[str, Any] = {"project": project, "name": name, "tags": tags}
        self._given |= {"policy": user_options.checked_policy(policy), "config": config}
        self._hold = hold
        self._attendance: Attendance | None = None
        self._idle = False
        self._unregistered: int | None = None
        self._stop_after_save = False
        self._orders, self._extra, self._left_out = Orders(), ExtraSaves(), LeftOut()
        self._call: object | None = None  # the call of `train()` that the run is recorded for
        self._used = False
        train_call.watch()

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Announce the attempt, from rank 0; on an error the training goes on without Cusp."""
        self._stop_after_save, self._orders = False, Orders()
        self._extra, self._left_out = ExtraSaves(), LeftOut()
        self._verifier.begin()
        self._unregistered = self._attendance = None
        self.reading.begin()
        self._idle = _another_watches(self, state)
        if self._idle:
            return
        try:
            self._attendance = Attendance()
            if not state.is_world_process_zero:
                return
            self._begin(args, state, model, kwargs.get("train_dataloader"))
        except CuspError as error:
            log.error("Cusp cannot watch this training, which goes on without it: %s", error)
        except Exception:
            log.exception(
                "A fault of Cusp: it cannot watch this training, which goes on without it"
            )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Agree with all ranks on the monitor's commands, and act on them in this step."""
        if self._idle:
            return
        self._register_late(args)
        agreed = self._agreed(args, state, control)
        if agreed & (orders.SAVE | orders.STOP | orders.VERIFY_SAVED):
            control.should_save = True
        if agreed & orders.NO_SAVE:
            self._leave_out(control)
        if agreed & orders.STOP_AFTER_SAVE:
            self._stop_after_save = True
        if agreed & orders.STOP:
            control.should_training_stop = True
        if agreed and self.run is not None:
            self._orders.acknowledge(self.run, state.global_step)
        if agreed & orders.VERIFY:
            self._verifier.at_step(self.run, state.global_step)
        if agreed & orders.VERIFY_SAVED:
            self._verifier.await_save()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave out the save of an epoch (`save_strategy="epoch"`) where the disk has no room for it."""
        if self._idle or not control.should_save or not self._together():
            return
        refused = self._left_out.refusal(self.run, control, extra=False) is not None
        if self._orders.shared(orders.NO_SAVE if refused else 0, args.device):
            self._leave_out(control)

    @harmless(None)
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        """Stream the metrics of this step, but not the summary at the end of a training.

        The training goes on meanwhile: what is sent is made and written in another thread, from copies.
        """
        if self._idle or self.run is None or not logs or "train_runtime" in logs:
            return
        taken = {name: _copied(value) for name, value in logs.items()}
        generation = self.reading.generation()
        self.run.later(partial(self._logged, self.run, taken, state.global_step, generation))

    @harmless(None)
    def _logged(self, run: Run, logs: Logs, step: int, generation: Generation) -> None:
        run.log({**logs, **self.reading.sums(logs, generation)}, step)
        self.reading.point(run, logs, step, generation)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Register the checkpoint once every rank has written its part."""
        if self._idle:
            return
        self._extra.saved(state.global_step)
        if distributed() and self._together():
            torch.distributed.barrier()
        if self._stop_after_save:
            control.should_training_stop = True
        if self.run is not None and not self._together():
            self._unregistered = state.global_step
        elif self.run is not None:
            self._saved(self.run, args, state.global_step)
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self._verifier.at_save(self.run, state.global_step, saved, self.reading.evaluate)

    @harmless(None)
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Pin checkpoints to keep, acknowledge the stop, end the attempt; in this order."""
        if self._idle or self.run is None:
            return
        self._register_late(args)
        stopped = next((c for c in self.run.open_commands() if c.kind == "stop"), None)
        if stopped and stopped.command_id not in self._orders.agreed:
            reason = f"the training had already ended at step {state.global_step}"
            self.run.keep(stopped.steps)
            self.run.settle()
            self.run.acknowledge(stopped, "refused", reason=reason, step=state.global_step)
            stopped = None
        sent = self.run.finish(
            "stopped" if stopped else "finished",
            stopped.reason if stopped else None,
            step=state.global_step,
        )
        self.reading.end(self.run, stopped, state, args.world_size, sent)

    def on_train_error(self, error: BaseException) -> None:
        """End the attempt with the exception that `train()` raises; the process may live on."""
        if self.run is not None:
            self.run.finish("failed", excepthook.sentence(error), drain_s=3.0)

    def _begin(
        self, args: TrainingArguments, state: TrainerState, model: Any, dataloader: Any
    ) -> None:
        root = Path(args.output_dir).absolute()
        again = self._ended_unseen()
        if self.run is None or self.run.finished:  # the same callback may serve several trainings
            known = self._verifier.announced(self.reading.known(), self.reading.evaluate)
            metadata = described(args, state, model, known, dataloader)
            given = {**self._given, "name": self._given["name"] or _run_name(args)}
            if given["config"] is None:
                given["config"] = args.to_sanitized_dict()
            goes_on = lineage.recorded(state.stateful_callbacks) if state.global_step > 0 else None
            self.run = None
            self.run = init(
                **given,
                metadata=metadata,
                root=root,
                resumed=again or goes_on,
                rank=0,
                says_where=False,
            )
            terminal.begun(self.run)
        self._call, self._used = train_call.current(), True
        if isinstance(state.stateful_callbacks, dict):
            lineage.record(state.stateful_callbacks, Lineage(self.run.id, self.run.attempt_id))
        for sentence in warnings_on(args, state):
            log.warning(sentence)
        self._extra.saved(state.global_step)
        self._left_out.begin(self.run, args, model)
        if args.save_total_limit is not None:
            self._mind_rotation(self.run, root, args.save_total_limit)
        branches.abandon_later(root, self.run.id, after=state.global_step)
        path = root / f"checkpoint-{state.global_step}"
        if branches.is_unregistered(path, self.run.id):
            self.run.checkpoint(path, state.global_step)

    def _ended_unseen(self) -> Lineage | None:
        """End a run whose training ended without a callback; return its lineage if the same call goes on.

        That is a `train()` that restarts with smaller batches after running out of memory.
        """
        run = self.run
        if run is None or not self._used:
            return None
        if not run.finished:
            run.finish("failed", "the training began again before it had ended", drain_s=3.0)
        call = train_call.current()
        return Lineage(run.id, run.attempt_id) if call is not None and call is self._call else None

    def _mind_rotation(self, run: Run, root: Path, limit: int) -> None:
        if self._hold:
            run.hold()
        held_there = (
            f"so their weights are held in {rotation.folder(root, run.id)} ({rotation.MOST} checkpoints and"
            f" {rotation.MOST_BYTES >> 30} GiB at most)"
        )
        log.warning(
            "save_total_limit=%s lets the trainer delete the checkpoint from before the transition before"
            " it is known to matter, %s.",
            limit,
            held_there if self._hold else "and hold=False lets it; leave one of them out",
        )

    def read(self, trainer: Any, *, reading: Mapping[str, Any], **given: Any) -> None:
        """Also read rewards and completions of this trainer; `given` replaces earlier arguments."""
        self._given.update({name: value for name, value in given.items() if value is not None})
        self.reading.of(trainer, **reading)

    def _together(self) -> bool:
        """Return whether all ranks have the callback, so that they can agree. Call at a step's end."""
        if not distributed():
            return True
        return self._attendance is not None and self._attendance.complete()

    @harmless(None)
    def _saved(self, run: Run, args: TrainingArguments, step: int) -> None:
        run.checkpoint(Path(args.output_dir) / f"checkpoint-{step}", step)
        for command in run.open_commands():
            if command.kind == "save" and command.command_id in self._orders.agreed:
                run.acknowledge(command, "done", step=step)

    def _leave_out(self, control: TrainerControl) -> None:
        """Leave out the save of this step, and do not have an agreed stop wait for one."""
        control.should_save = False
        if self._stop_after_save:
            control.should_training_stop = True

    def _register_late(self, args: TrainingArguments) -> None:
        """Register the save of the previous step: without a barrier the other ranks have had time since."""
        if self._unregistered is not None and self.run is not None:
            step, self._unregistered = self._unregistered, None
            self._saved(self.run, args, step)

    def _agreed(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> int:
        """Return rank 0's orders of this step on every rank, as bits; 0 where not all ranks can agree."""
        verification = self._verifier.proposed(self.run, self.reading.evaluate)
        extra = self._extra.wanted(self.run, args, state, control)
        no_room = self._left_out.refusal(self.run, control, extra or verification is not None)
        if no_room is not None and verification is not None:
            verification = None if verification[1] == orders.VERIFY_SAVED else verification
        proposed = self._orders.propose(self.run, verification, no_room)
        proposed |= orders.NO_SAVE if no_room is not None else orders.SAVE if extra else 0
        if not self._together():
            self._orders.refuse(self.run)
            return 0
        return self._orders.shared(proposed, args.device)


def _copied(value: object) -> object:
    """Return a tensor or a NumPy scalar as the number it is now; what is no number is left out later, with its type."""
    if isinstance(value, _UNCHANGING):
        return value
    try:
        return float(value)  # type: ignore[arg-type]
    except Exception:  # a user's object may raise anything
        return value


def _another_watches(callback: CuspCallback, state: TrainerState) -> bool:
    """Return whether another `CuspCallback` of the same trainer came first; warns once."""
    first = vars(state).setdefault(
        "_cusp", id(callback)
    )  # a plain attribute, not a field of the state: never saved
    if first != id(callback) and state.is_world_process_zero:
        log.warning(
            "Cusp is attached to this trainer twice; the first one watches, once is enough."
        )
    return bool(first != id(callback))


def _run_name(args: TrainingArguments) -> str | None:
    """Return `run_name`, unless CUSP_RUN_NAME is set or it is only the output folder's (transformers 4)."""
    name = "".join(c for c in str(getattr(args, "run_name", None) or "") if c.isprintable()).strip()
    folder = str(args.output_dir)
    if settings.from_environment().run_name or os.path.normpath(name) == os.path.normpath(folder):
        return None
    return name or None
