"""`cusp.watch(trainer)`: attaches Cusp to a TRL or transformers trainer."""

from collections.abc import Mapping
from typing import Any

from cusp import terminal, user_options
from cusp.checkpoints.registry import LocalCheckpoint
from cusp.protocol.run import Policy, RunMetadata
from cusp.run import Run
from cusp.trl.callback import CuspCallback
from cusp.trl.reward_functions import names_of
from cusp.trl.samples import MOST_A_STEP, USUAL
from cusp.trl.scores import Evaluate


class Watched:
    """The watched training. Before `train()`, and on every rank but 0, `run`, `url` and `kept` are None."""

    def __init__(self, callback: CuspCallback) -> None:
        self._callback = callback

    @property
    def run(self) -> Run | None:
        """The run, once `train()` has begun."""
        return self._callback.run

    @property
    def url(self) -> str | None:
        """The run's page."""
        return self.run.url if self.run is not None else None

    @property
    def kept(self) -> LocalCheckpoint | None:
        """The checkpoint that was kept, `.step` and `.path`; settled when `train()` has returned."""
        return self.run.kept if self.run is not None else None

    @property
    def scores(self) -> dict[int, list[float]]:
        """The results of `evaluate` by step, for the kept and the last checkpoint."""
        return self._callback.reading.scores


def watch(
    trainer: Any,
    *,
    roles: user_options.Roles | None = None,
    policy: Policy | str | None = None,
    evaluate: Evaluate | None = None,
    project: str | None = None,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    tags: list[str] | None = None,
    samples: int = USUAL,
    metadata: RunMetadata | None = None,
) -> Watched:
    """Return the watched training: metrics, checkpoints and a few completions go to the monitor.

    Call it in every process, before `train()`. Reward functions, their weights and known ranges are read
    from the trainer. `roles` names the reward functions or logged keys of a role where the rules do not
    find them: `{"format": ["my_tags"]}`. `policy` is a `cusp.Policy` or one of "stop", "propose", "watch".
    `evaluate(path)` returns a score from 0 to 1 for each of the same held-out problems. It is called when the
    monitor has a suspicion to verify, on the checkpoint saved then and on earlier ones, which blocks the
    training, and on the kept and the last checkpoint when a training of one process has ended (its values stay
    in `.scores`). `samples` completions of a
    logged step are sent, 0 for none. OptionError (a ValueError) for an invalid argument.
    """
    _check(trainer, samples, evaluate)
    given = user_options.checked_run(project, name, tags, config, metadata)
    asked = user_options.checked_policy(policy)
    reading = {
        "metadata": metadata,
        "roles": user_options.checked_roles(roles, names_of(trainer)),
        "samples": samples,
        "evaluate": evaluate,
    }
    attached = trainer.callback_handler.callbacks
    callback = next((c for c in attached if isinstance(c, CuspCallback)), None)
    if callback is None:
        callback = CuspCallback()
        trainer.add_callback(callback)
    elif trainer.is_world_process_zero():
        terminal.say(
            "this trainer has Cusp attached already; what is told now is added to that one"
        )
    callback.read(trainer, reading=reading, policy=asked, **given)
    return Watched(callback)


def _check(trainer: Any, samples: Any, evaluate: Any) -> None:
    """Raise OptionError for a trainer that takes no callbacks, and for a value that means nothing."""
    if getattr(trainer, "callback_handler", None) is None or not hasattr(trainer, "add_callback"):
        raise user_options.OptionError(
            f"watch() takes a trainer of TRL or transformers, not {type(trainer).__name__};"
            " for a loop of your own use cusp.init()"
        )
    if isinstance(samples, bool) or not isinstance(samples, int) or not 0 <= samples <= MOST_A_STEP:
        raise user_options.OptionError(
            f"samples is {samples!r}; use a number from 0 to {MOST_A_STEP}"
        )
    user_options.checked_evaluate(evaluate)
