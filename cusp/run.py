"""`Run`, the client in a training process: `log()`, `checkpoint()`, `should_stop()`, `finish()`.

Its methods never raise or block on the network: messages go to a spool on disk, and a thread ships them.
Hashing and pinning happen in a thread of their own. `start.init` creates a run.
"""

import atexit
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

from cusp import settings
from cusp.checkpoints import lineage, paths
from cusp.checkpoints.manifest import Manifest
from cusp.checkpoints.pinning import NoRoomError
from cusp.checkpoints.registry import CheckpointRegistry, Failures, LocalCheckpoint
from cusp.metrics import canonical, finite_only
from cusp.process import excepthook, file_lock, forks
from cusp.protocol.fields import MAX_STEP
from cusp.protocol.messages import Command
from cusp.protocol.run import By, RunStart
from cusp.run_config import text_of
from cusp.transport import neighbours, score_messages
from cusp.transport.attempt import Attempt, load_leftover
from cusp.transport.deferred import Deferred
from cusp.transport.sanitize import Mender
from cusp.transport.sender import Sender
from cusp.transport.spool import Spool

log = logging.getLogger("cusp")

FinalStatus = Literal["finished", "failed", "stopped"]
_NOT_AT_THE_END = ("verify", "release")
_TOO_LATE = "the training ended before it could be carried out"


class Run:
    """One attempt of a run, as the training process sees it. Made by `cusp.init`."""

    def __init__(
        self,
        start: RunStart,
        config: settings.Settings,
        *,
        root: Path | None = None,
        home_lock: file_lock.Lock | None = None,
        mender: Mender | None = None,
    ) -> None:
        self.id = start.run_id
        self.attempt_id = start.attempt_id
        self.name = start.name
        self.settings = config
        self._mender = mender or Mender()
        self.home = config.directory / "runs" / self.id
        self.root = (root or paths.run_root(config.directory, self.id)).absolute()
        self.commands: dict[str, Command] = {}
        self._handled: set[str] = set()
        self._agreed: set[str] = set()
        self._pinned_for: dict[str, list[int]] = {}  # steps pinned, by `verify` command
        self._lock = threading.Lock()
        self._locks = [home_lock] if home_lock else []
        self._root_given = root is not None
        self._shelf = CheckpointRegistry(
            self.root, self.id, self._send, self._tell, config.disk_budget
        )
        self._finished = False
        self._last_step = -1
        self._process = os.getpid()
        self._strange = False  # whether this forked child has logged that it records nothing
        self._superseded = False
        self._live: Attempt | None = None
        self._spool: Spool | None = None
        self._sender: Sender | None = None
        self._deferred = Deferred()
        if config.mode != "disabled":
            self._spool, self._sender = self._open(start)
            excepthook.watch()
            forks.disown_in_children(self)
            atexit.register(self._at_exit)

    @property
    def url(self) -> str:
        """The run's page."""
        return f"{self.settings.page_url}/runs/{self.id}"

    @property
    def last_checkpoint(self) -> LocalCheckpoint | None:
        """The checkpoint registered last in this attempt: its step and folder, or None."""
        return self._shelf.saved_last

    def log(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """Record the metric values of a step under canonical names; None and NaN are left out.

        Without `step` it is the one after the last. A step that is not an integer from 0 to 2^53 is left
        out with a warning. A name that the monitor would reject is rewritten, and too many metrics are
        split over several messages of the step; each kind of change is logged once.
        """
        if self._is_foreign():
            return
        self._deferred.settle()
        known = self._last_step + 1 if step is None else _whole(step)
        named = _named(_as_mapping(metrics, self._mender), self._mender)
        values, skipped = finite_only(named)
        if len(values) < len(named):
            self._mender.not_numbers(named, values)
        if known is None:
            self._mender.say(
                "step",
                "Cusp left out a point: the step must be a number from 0 on, not %.80r",
                step,
            )
        elif values or skipped:
            if self._last_step < 0:  # the first step shows which old checkpoints precede it
                self._shelf.announce_existing(known)
            if known < self._last_step:
                self._mender.say(
                    "step back",
                    "Cusp was told step %s after step %s: what it logs again of a step replaces what was"
                    " there; count on over epochs",
                    known,
                    self._last_step,
                )
            self._last_step = known
            for point in self._mender.points(known, values, skipped, time.time()):
                self._send(point)

    def sample(
        self, step: int, prompt: str, completion: str, rewards: Mapping[str, object] | None = None
    ) -> None:
        """Record one completion of a step, cut to 32,768 characters."""
        if self._is_foreign():
            return
        self._deferred.settle()
        values, _ = finite_only(_named(_as_mapping(rewards, self._mender), self._mender))
        text = {"prompt": text_of(prompt), "completion": text_of(completion)}
        if (whole := _whole(step)) is not None:
            self._send({"kind": "sample", "step": whole, **text, "rewards": values})

    def evaluation(
        self,
        task: str,
        rows: Iterable[Mapping[str, Any]] = (),
        *,
        step: int,
        split: Literal["selection", "report"] = "report",
        pass_at_1: float | None = None,
        n: int | None = None,
        preset: str | None = None,
        problems: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Record held-out scores of the checkpoint of a step (0: the base model).

        A row is one sample of one problem: `{"problem_id": "aime-7", "score": 1.0, "text"?, "answer"?, "tokens"?}`, a
        score from 0 to 1, None where it was not decided; every problem has as many samples. Without rows
        `pass_at_1` of `n` problems is recorded. `problems` (`{"problem_id", "question", "gold"}`) are shown on the
        page, `preset` names the judge: scores by two of them are not compared. Rows that cannot be taken are
        left out with a warning.
        """
        if self._is_foreign():
            return
        if (whole := _whole(step)) is None:
            log.warning("Cusp left out scores: their step must be a number from 0, not %.80r", step)
            return
        try:
            told = {"step": whole, "split": split, "preset": text_of(preset) if preset else None}
            for one in score_messages.posts(
                task, rows, problems, pass_at_1=pass_at_1, n_problems=n, **told
            ):
                self._send({"kind": "evaluation", **one})
        except Exception as error:  # a user's rows may raise anything
            self._mender.say("evaluation", "Cusp left out the scores on %.80r: %s", task, error)

    def boundary(self, step: int, reason: str = "data boundary") -> None:
        """Mark a change of the data at this step; the detector restarts its scan there."""
        whole = None if self._is_foreign() else _whole(step)
        if whole is not None:
            self._deferred.settle()
            self._send({"kind": "boundary", "step": whole, "reason": text_of(reason)})

    def later(self, work: Callable[[], None]) -> None:
        """Call `work`, which logs to this run, in a thread of its own; what is logged here afterwards waits for it.

        Called at once before the first point, whose step shows which old checkpoints precede it, and once the
        run has ended. `kill -9`, or SIGTERM without a handler, loses what is not done yet: two works at most, the
        caller waits before a third (10 s at most, for a disk that stands still).
        """
        if self._is_foreign():
            return
        if self._spool is None or self._finished or self._last_step < 0:
            work()
        else:
            self._deferred.submit(work)

    def checkpoint(self, path: str | os.PathLike[str], step: int) -> None:
        """Register a saved checkpoint directory, which is hashed in the background.

        It must lie below the run's root. If `init` had no `root`, the parent folder of the first checkpoint
        becomes the root.
        """
        if self._is_foreign():
            return
        whole = _whole(step)
        if whole is None:
            log.warning("Cusp left out a checkpoint: its step must be a number, not %r", step)
            return
        try:
            folder = Path(os.fsdecode(path)).absolute()
        except (TypeError, OSError) as error:  # not a path, or a relative one in a deleted folder
            log.warning("Cusp left out the checkpoint of step %s at %r: %s", whole, path, error)
            return
        if not self._root_given and not folder.is_relative_to(self.root):
            self._move_root(folder.parent)
        self._root_given = True
        self._shelf.register(folder, whole)

    def hold(self) -> None:
        """Hold the weights of every checkpoint registered from now on in `held/`, within bounds.

        For trainers that rotate checkpoints: the one to keep is known tens of steps later.
        """
        if not self._is_foreign():
            self._shelf.hold()

    @property
    def suspected_since(self) -> int | None:
        """The last step that is surely from before a suspected transition; None without a suspicion."""
        return self._shelf.room.since

    def expect_saves(self, first_bytes: int) -> None:
        """Tell the estimated size of the first checkpoint; the next ones are estimated from what was saved."""
        self._shelf.room.first = first_bytes

    def save_refusal(self) -> str | None:
        """Return why the next checkpoint should not be saved, None if there is room for it.

        It would fill the disk, or exceed CUSP_DISK_BUDGET: in your own loop ask before you save, and train on.
        """
        return None if self._is_foreign() or self._spool is None else self._shelf.save_refusal()

    def keep(self, steps: list[int] | int) -> None:
        """Pin the checkpoints of these steps, in the background; unknown steps are logged.

        Each is copied to its own folder, see `kept_steps`.
        """
        named = steps if isinstance(steps, list | tuple | set) else [steps] if steps else []
        for step in [] if self._is_foreign() else named:
            self._shelf.pin(step)

    @property
    def kept_steps(self) -> dict[int, Path]:
        """The folder of each kept checkpoint by step; later saves never change it."""
        return dict(self._shelf.kept)

    @property
    def kept(self) -> LocalCheckpoint | None:
        """The checkpoint that was kept last, by the policy or a person: its step and folder, or None.

        Pinning happens in the background and is done when `finish()` or the trainer's `train()` returns. A
        stop that names no checkpoint keeps the newest one if none was kept before.
        """
        return self._shelf.kept_last

    def settle(self, timeout_s: float = 120.0) -> bool:
        """Wait until every checkpoint is hashed and pinned; return whether that was within the time."""
        return self._shelf.settle(timeout_s)

    def open_commands(self) -> list[Command]:
        """Return the commands not yet acknowledged as done or refused, oldest first."""
        if self._is_foreign():
            return []
        with self._lock:
            found = [c for c in self.commands.values() if c.command_id not in self._handled]
        return sorted(found, key=lambda command: command.command_id)

    def to_verify(self) -> list[tuple[Command, dict[int, Path]]]:
        """Return the open `verify` commands whose checkpoints are pinned, with the folder of each by step."""
        ready = [c for c in self.open_commands() if c.command_id in self._pinned_for]
        kept = self.kept_steps
        steps = [(command, self._pinned_for[command.command_id]) for command in ready]
        return [
            (command, {step: kept[step] for step in of if step in kept}) for command, of in steps
        ]

    def verified(
        self,
        command: Command,
        step: int,
        scores: Mapping[int, Sequence[float | None]],
        *,
        by: By,
        completions: int,
        seconds: float,
    ) -> None:
        """Send the held-out scores by step that a `verify` command asked for, and acknowledge it as done."""
        if self._is_foreign():
            return
        named = {str(of): list(values) for of, values in scores.items()}
        message = {"kind": "verification", "command_id": command.command_id, "step": step}
        cost = {"completions": completions, "seconds": round(seconds, 3)}
        self._send({**message, "by": by, "scores": named, **cost})
        self.acknowledge(command, "done", step=step)

    def should_stop(self) -> bool:
        """Return whether a stop command is open; `finish()` acknowledges it."""
        return any(command.kind == "stop" for command in self.open_commands())

    def acknowledge(
        self,
        command: Command,
        state: Literal["agreed", "done", "refused"],
        *,
        step: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Acknowledge a command to the monitor with its outcome."""
        if self._is_foreign():
            return
        with self._lock:
            (self._agreed if state == "agreed" else self._handled).add(command.command_id)
        message: dict[str, object] = {"kind": "ack", "command_id": command.command_id}
        self._send({**message, "state": state, "step": step, "reason": reason})

    def finish(
        self,
        status: FinalStatus = "finished",
        reason: str | None = None,
        *,
        step: int | None = None,
        drain_s: float = 10.0,
    ) -> bool:
        """End the attempt at `step` (the last one logged); return whether the monitor holds everything.

        Open stop commands are acknowledged after their checkpoints are pinned. Messages not sent in time
        stay on disk and are shipped by the next attempt or `cusp sync`.
        """
        if self._finished or self._spool is None or self._is_foreign():
            return True
        self._deferred.close()
        self._finished = True
        if status not in get_args(FinalStatus):
            known = ", ".join(get_args(FinalStatus))
            log.warning("Cusp takes the end %.80r for a failure: it is one of %s", status, known)
            status, reason = "failed", reason or f"the training ended as {text_of(status)[:200]}"
        last = self._last_step if step is None else step
        reached = last if last >= 0 else None
        try:
            self._pin_what_is_asked()
            for command in self.open_commands():
                if command.kind in _NOT_AT_THE_END:
                    self.acknowledge(command, "refused", reason=_TOO_LATE, step=reached)
                    continue
                self.acknowledge(command, "done", step=reached)
                status = "stopped" if command.kind == "stop" and status == "finished" else status
                reason = reason or command.reason or None
        finally:  # a second Ctrl-C may interrupt: the end is recorded all the same
            end = {"kind": "status", "status": status, "step": reached, "reason": reason}
            self._send({**end, "at": time.time()})
            sent = self._close(drain_s) and self._spool.dropped == 0
        return sent

    def _pin_what_is_asked(self) -> None:
        for command in self.open_commands():
            if command.kind not in _NOT_AT_THE_END:
                self.keep(command.steps)
        if self.should_stop():
            self._shelf.pin_last()
        self._shelf.look_around()
        self.settle()

    @property
    def finished(self) -> bool:
        """Whether `finish()` was called."""
        return self._finished

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish(
            "failed" if error else "finished", excepthook.sentence(error) if error else None
        )

    def _open(self, start: RunStart) -> tuple[Spool, Sender | None]:
        attempts = self.home / "attempts"
        folder = attempts / self.attempt_id
        folder.mkdir(parents=True, exist_ok=True)
        content = start.model_dump(mode="json")
        self._note(folder, content)
        self._shelf.former = [each for each in paths.roots(self.home) if each != self.root]
        if self._shelf.former:
            paths.point_to_root(self.home, self.root)
        if own := file_lock.take(folder / "lock"):
            self._locks.append(own)
        spool = Spool(folder)
        spool.remade = partial(self._remade, folder, content)
        spool.append({"kind": "status", "status": "started", "at": start.at})
        forks.disown_in_children(spool)
        self._live = Attempt(content, spool)
        self._shelf.recall()
        if self.settings.mode == "offline":
            return spool, None
        sender = Sender(
            self.settings.url,
            self.settings.token,
            self._live,
            leftover=_leftover(attempts, self.attempt_id),
            on_commands=self._receive_all,
            on_superseded=self._give_way,
            on_refused=self._mender.refused,
            on_suspected=self._suspect,
        )
        sender.wake()
        return spool, sender

    def _note(self, folder: Path, content: Mapping[str, object]) -> None:
        (folder / "start.json").write_text(json.dumps(content))
        lineage.note(self.home, self.attempt_id)

    def _remade(self, folder: Path, content: Mapping[str, object]) -> None:
        """Write the attempt's other files again after the run's folder was deleted."""
        log.warning(
            "The folder of run %s was deleted (%s); Cusp makes it again", self.id, self.home
        )
        self._note(folder, content)
        if self.root != self.home:
            paths.point_to_root(self.home, self.root)
        self._locks += [
            own for where in (self.home, folder) if (own := file_lock.take(where / "lock"))
        ]

    def _move_root(self, root: Path) -> None:
        try:
            paths.point_to_root(self.home, root)
        except OSError as error:
            log.warning("Cusp could not note where the checkpoints lie: %s", error)
            return
        self._shelf.former = [each for each in paths.roots(self.home) if each != root]
        self.root = self._shelf.root = root

    def disown(self) -> None:
        """Release the locks of the training in a forked child."""
        self._locks = []  # filelock has closed their descriptors in the child already

    def _is_foreign(self) -> bool:
        """Return whether this is a forked child, which must not write; warns once in each."""
        if os.getpid() == self._process:
            return False
        if not self._strange and self._spool is not None:
            self._strange = True
            log.warning(
                "Cusp leaves out what process %s tells run %s: it was forked from the training's process"
                " %s; log there.",
                os.getpid(),
                self.id,
                self._process,
            )
        return True

    def _give_way(self, words: str) -> None:
        """Stop writing to a run that a later attempt has taken over; only stop commands still apply."""
        if self._superseded:
            return
        self._superseded = True
        log.warning(
            "Run %s: %s. This training goes on and is not recorded there any more; Stop still reaches it."
            " For a run of its own, start it without CUSP_RUN_ID.",
            self.id,
            words,
        )

    def _send(self, message: Mapping[str, object]) -> None:
        if self._superseded and message["kind"] not in ("status", "ack"):
            if self._live is not None and message["kind"] == "point":
                self._live.withheld += 1
            return
        made = message if message.get("kind") == "point" else self._mender.other(message)
        if self._spool is not None and made is not None and not self._spool.append(made):
            self._mender.say(
                "disk",
                "Cusp cannot write to %s: the disk is full or the spool has its 1 GiB. The training goes on,"
                " what it logs meanwhile is lost and counted; make room",
                self.home,
            )
        if self._sender is not None:
            self._sender.wake()

    def _tell(self, manifest: Manifest, path: Path) -> None:
        """Report a checkpoint of another run that was saved over here."""
        folder = (
            neighbours.report_lost(self.settings.directory, manifest, path) if self._spool else None
        )
        if folder is not None and self._sender is not None:
            self._sender.ship_also(folder)

    def _suspect(self, since: int | None) -> None:
        self._shelf.room.since = since

    def _receive_all(self, named: list[Command]) -> None:
        with (
            self._lock
        ):  # all are known before one is carried out: a release looks at the later ones
            new = {c.command_id: c for c in named if c.command_id not in self.commands}
            self.commands.update(new)
        for command in new.values():
            self._receive(command)
        with self._lock:
            known = {command.command_id for command in named} | self._agreed
            for gone in self.commands.keys() - known - self._handled:
                del self.commands[gone]  # closed by the monitor, most likely expired

    def _receive(self, command: Command) -> None:
        self._send({"kind": "ack", "command_id": command.command_id, "state": "delivered"})
        if command.kind == "keep":
            self._shelf.pin_all(command.steps, partial(self._kept, command))
        elif command.kind == "verify":
            self._shelf.pin_for_now(command.steps, partial(self._ready, command))
        elif command.kind == "release":
            self._shelf.release(
                partial(self._left_to_release, command), partial(self._released, command)
            )

    def _left_to_release(self, release: Command) -> list[int]:
        """Return the steps to let go: without those that a later keep, stop or verify names."""
        with self._lock:
            later = [c for c in self.commands.values() if c.command_id > release.command_id]
        wanted = {step for c in later if c.kind != "release" for step in c.steps}
        return [step for step in release.steps if step not in wanted]

    def _kept(self, command: Command, missing: Failures) -> None:
        if missing:
            reason = f"no complete checkpoint of step {next(iter(missing))} on this box"
            self.acknowledge(command, "refused", reason=reason)
        else:
            self.acknowledge(command, "done")

    def _ready(self, command: Command, missing: Failures) -> None:
        no_room = [str(why) for why in missing.values() if isinstance(why, NoRoomError)]
        if no_room and missing.keys() >= set(command.steps):
            self.acknowledge(command, "refused", reason=no_room[0])
            return
        self._pinned_for[command.command_id] = [s for s in command.steps if s not in missing]

    def _released(self, command: Command, kept: list[int]) -> None:
        if kept:
            reason = (
                f"step {kept[0]} stays kept: the training asked for it, or it cannot be deleted"
            )
            self.acknowledge(command, "refused", reason=reason)
        else:
            self.acknowledge(command, "done")

    def _close(self, drain_s: float) -> bool:
        sent = True
        try:
            if self._sender is not None and self._spool is not None:
                sent = self._sender.drain(drain_s)
                self._sender.close()
                if not sent:
                    log.warning(
                        "%s messages of run %s wait in %s; `cusp sync` ships them when the monitor is up",
                        self._spool.pending(),
                        self.id,
                        self.home,
                    )
        finally:  # in a live notebook kernel the next attempt needs the locks, even after Ctrl-C
            self._let_go()
        return sent

    def _let_go(self) -> None:
        """Close the threads of this attempt and release the run's locks."""
        try:
            if self._sender is not None:
                self._sender.close(0.0)
            if self._spool is not None:
                self._spool.close()
            self._shelf.close()
        finally:
            for lock in self._locks:
                lock.close()
            self._locks = []

    def _at_exit(self) -> None:
        if not self._finished and os.getpid() == self._process:
            reason = excepthook.last() or "the process ended without finish()"
            self.finish("failed", reason, drain_s=3.0)


def _whole(step: object) -> int | None:
    try:
        number = int(step)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= MAX_STEP else None


def _named(metrics: Mapping[Any, object], mender: Mender) -> dict[str, object]:
    """Return the metrics under canonical names, without those whose name cannot be converted to text."""
    try:
        return canonical(metrics)
    except Exception as error:  # a user's object may raise anything
        mender.say("metric names", "Cusp left out metrics whose names cannot be read: %r", error)
    try:
        return canonical({text_of(name): value for name, value in metrics.items()})
    except Exception:  # a user's mapping may raise anything
        return {}


def _as_mapping(metrics: object, mender: Mender) -> Mapping[str, object]:
    """Return the metrics; an empty mapping for any other type, as log() must not raise."""
    if isinstance(metrics, Mapping):
        return metrics
    if metrics is not None:
        mender.say(
            "metrics",
            "Cusp left out a point: metrics must be a dict, not %s",
            type(metrics).__name__,
        )
    return {}


def _leftover(attempts: Path, own: str) -> list[Attempt]:
    found = []
    for folder in sorted(attempts.iterdir()):
        if folder.name != own and (attempt := load_leftover(folder)):
            found.append(attempt)
    return found
