"""Rounds of a verification on all ranks: each scores its share, and an error on one ends it on all.

Rank 0 broadcasts the next round, or None for the end; the scores, or an error in their place, are gathered.
So no rank is left waiting in a collective when another one fails.
"""

import logging
from dataclasses import dataclass

import torch

from cusp.process.excepthook import sentence
from cusp.trl.attendance import distributed
from cusp.trl.verifying.held_out import CannotVerify, HeldOut, Interrupted, Score, Scored
from cusp.trl.verifying.random_state import random_state_kept
from cusp.trl.verifying.rounds import Round, Rounds

log = logging.getLogger("cusp")


@dataclass(frozen=True)
class NoScores:
    """Why a rank has no scores."""

    words: str


def score(held_out: HeldOut | None, plan: Rounds | None, interrupted: Interrupted) -> Scored | None:
    """Score on all ranks what rank 0 plans; return the scores on rank 0, None on the others.

    `plan` is None on every other rank. CannotVerify on rank 0 if it could not be done, with the reason.
    """
    leader = Leader(plan, interrupted) if plan is not None else None
    following = leader.begin() if leader else None
    while (following := _from_first(following)) is not None:
        share = _share(held_out, following)
        everyone = _gathered(share)
        following = leader.go_on(following, everyone) if leader else None
    return leader.result() if leader else None


class Leader:
    """Rank 0's side: drives the plan, and never raises before all ranks know that it is over."""

    def __init__(self, plan: Rounds, interrupted: Interrupted) -> None:
        self._plan, self._interrupted = plan, interrupted
        self._scored: Scored | None = None
        self._error: CannotVerify | None = None

    def begin(self) -> Round | None:
        """Return the first round, or None if there is none."""
        return self._next(None, [])

    def go_on(self, done: Round, shares: list[list[Score] | NoScores]) -> Round | None:
        """Return the round after this one, or None at the end and after a failure."""
        failed = [(rank, one) for rank, one in enumerate(shares) if isinstance(one, NoScores)]
        if failed:
            rank, failure = failed[0]
            where = f" on rank {rank}" if len(shares) > 1 else ""
            return self._ended(f"the held-out problems could not be scored{where}: {failure.words}")
        return self._next(done, [one for one in shares if isinstance(one, list)])

    def result(self) -> Scored:
        """Return the scores; CannotVerify if there are none."""
        if self._error is not None:
            raise self._error
        if self._scored is None:
            raise CannotVerify("it was left off")
        return self._scored

    def _next(self, done: Round | None, shares: list[list[Score]]) -> Round | None:
        try:
            if self._interrupted():
                return self._ended("the training was asked to end meanwhile")
            return next(self._plan) if done is None else self._plan.send(_merged(done, shares))
        except StopIteration as end:
            self._scored = end.value
        except CannotVerify as error:
            self._error = error
        except Exception as error:  # a fault of ours: all ranks must learn that it is over
            log.exception("A fault of Cusp while it verifies; the training goes on")
            return self._ended(f"a fault of Cusp: {sentence(error)}")
        return None

    def _ended(self, words: str) -> Round | None:
        self._error = CannotVerify(words)
        return None


def _share(held_out: HeldOut | None, asked: Round) -> list[Score] | NoScores:
    """Return this rank's share of the scores: every `world`-th problem."""
    rank, world = _place()
    try:
        if held_out is None:
            raise CannotVerify("this process has no held-out problems")
        with random_state_kept():
            places = range(asked.first + rank, asked.end, world)
            return held_out.scores(asked.checkpoint, places) if places else []
    except CannotVerify as error:
        return NoScores(str(error))
    except Exception as error:
        log.exception("The held-out problems could not be scored; the training goes on")
        return NoScores(sentence(error))


def _merged(done: Round, shares: list[list[Score]]) -> list[Score]:
    """Return the scores in the order of the problems; ValueError if a share has not one for each of its own."""
    merged: list[Score] = [None] * (done.end - done.first)
    for rank, share in enumerate(shares):
        own = range(rank, len(merged), len(shares))
        for place, value in zip(own, share, strict=True):
            merged[place] = value
    return merged


def _place() -> tuple[int, int]:
    if not distributed():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def _from_first(following: Round | None) -> Round | None:
    if not distributed():
        return following
    box = [following]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def _gathered(share: list[Score] | NoScores) -> list[list[Score] | NoScores]:
    if not distributed():
        return [share]
    everyone: list[list[Score] | NoScores] = [NoScores("no answer")] * _place()[1]
    torch.distributed.all_gather_object(everyone, share)
    return everyone
