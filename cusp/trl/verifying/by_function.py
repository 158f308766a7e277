"""Verification by the user's function, called on saved checkpoints by rank 0."""

import logging
from collections.abc import Sequence
from pathlib import Path

from cusp.checkpoints import manifest
from cusp.process.excepthook import sentence
from cusp.trl.scores import Evaluate, NotScores, checked
from cusp.trl.verifying.held_out import CannotVerify, Earlier, Scored
from cusp.trl.verifying.random_state import random_state_kept
from cusp.trl.verifying.rounds import Known

log = logging.getLogger("cusp")

SHARDED = (
    "evaluate= is called on one process only, and the weights of this training are spread over {processes}"
    " ({kind}): what it starts on the device could wait for the others for ever; a worker can verify"
)


def why_not() -> str | None:
    """Return why the user's function cannot be called in this training, or None if it can.

    Where the weights are sharded, a forward or a collective of rank 0 alone blocks all ranks.
    """
    from accelerate import PartialState  # type: ignore[import-untyped]
    from accelerate.utils import DistributedType  # type: ignore[import-untyped]

    state = PartialState()
    sharded = (DistributedType.DEEPSPEED, DistributedType.FSDP, DistributedType.MEGATRON_LM)
    if state.num_processes < 2 or state.distributed_type not in sharded:
        return None
    return SHARDED.format(processes=state.num_processes, kind=state.distributed_type.value)


def scored(
    evaluate: Evaluate, step: int, now: Path, earlier: Sequence[Earlier], known: Known
) -> Scored:
    """Return the function's scores of the checkpoint in `now`, saved at `step`, and of the earlier ones.

    `known` are its scores of earlier checkpoints by hash; new ones are added. CannotVerify if it raises, or
    returns anything but a score in [0, 1] for each of the same problems; then all are asked for anew next time.
    """
    found, calls = {}, 0
    for each in earlier:
        if each.sha256 not in known:
            known[each.sha256] = [*_called(evaluate, each.path)]
            calls += 1
        found[each.step] = known[each.sha256]
    found[step] = [*_called(evaluate, now)]
    lengths = {of: len(values) for of, values in found.items()}
    if len(set(lengths.values())) > 1:
        known.clear()
        counts = ", ".join(f"{count} for step {of}" for of, count in sorted(lengths.items()))
        raise CannotVerify(
            f"evaluate= returned scores of {counts}; let it score the same problems in the same order"
            " each time"
        )
    hashed = manifest.last_registered(now)
    if hashed is not None and hashed.step == step:  # else it is asked for again as an earlier one
        known[hashed.sha256] = found[step]
    return Scored(found, (calls + 1) * lengths[step])


def _called(evaluate: Evaluate, path: Path) -> list[float]:
    try:
        with random_state_kept():
            return checked(evaluate(path))
    except NotScores as error:
        raise CannotVerify(f"evaluate= failed on {path.name}: {error}") from error
    except (Exception, SystemExit) as error:  # the user's function may raise anything
        log.error("evaluate(%r) failed: %s", str(path), error, exc_info=error)
        raise CannotVerify(f"evaluate= failed on {path.name}: {sentence(error)}") from error
