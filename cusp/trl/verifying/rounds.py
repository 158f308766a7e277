"""Plan of a verification by the training: which weights are scored on which problems, stage by stage.

Runs on rank 0 as a generator, without torch: it yields a `Round` and is sent that round's scores.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cusp.protocol.messages import VerifyOrder
from cusp.trl.verifying.held_out import CannotVerify, Earlier, Score, Scored
from cusp.verification.sequential import STAGES, sequential_test


@dataclass(frozen=True)
class Round:
    """The problems from `first` to before `end`, with the weights of a checkpoint or (None) those of now."""

    checkpoint: Path | None
    first: int
    end: int


Known = dict[str, list[Score]]
Rounds = Generator[Round, list[Score], Scored]


def stages(asked: Sequence[int], problems: int) -> list[int]:
    """Return the number of problems scored by the end of each stage, at most all `problems`.

    >>> stages([32, 64, 128], 200), stages([32, 64, 128], 50), stages([], 8)
    ([32, 64, 128], [32, 50], [8])
    """
    return sorted({min(end, problems) for end in (asked or STAGES)})


def rounds(
    step: int, earlier: Sequence[Earlier], order: VerifyOrder, problems: int, known: Known
) -> Rounds:
    """Yield what to score until the test decides, the problems end or the budget is spent.

    From the second stage on only the checkpoints that are better than now so far are scored further. `known` are scores
    of earlier checkpoints by hash, from the first problem on; new ones are added, so that a later verification scores
    only the weights of now. CannotVerify if the budget has no room for a stage.
    """
    now: list[Score] = []
    completions = 0
    left, found = list(earlier), dict[int, list[Score]]()
    for end in stages(order.stages, problems):
        missing = sum(max(0, end - len(known.get(each.sha256, ()))) for each in left)
        cost = end - len(now) + missing
        if completions + cost > order.budget:
            if not now:
                raise CannotVerify(
                    f"a budget of {order.budget} completions has no room for {cost}: {end} problems with"
                    f" the weights of now and those of {len(left)} checkpoints; raise"
                    " policy.verify_budget"
                )
            break
        now += yield Round(None, len(now), end)
        for each in left:
            have = known.setdefault(each.sha256, [])
            if len(have) < end:
                have += yield Round(each.path, len(have), end)
            found[each.step] = have[:end]
        completions += cost
        test = sequential_test(now, found, alpha=order.alpha)
        if test.outcome != "undecided":
            break
        left = [each for each in left if each.step in test.better]
    return Scored({**found, step: now}, completions)
