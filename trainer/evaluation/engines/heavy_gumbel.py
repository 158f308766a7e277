"""Sampling with common random numbers for one look at the logits: Gumbel noise where it can decide, and only there.

A token is the arg max of log-probability plus Gumbel noise (the Gumbel-max trick, exact). The maximum over a set of
tokens is itself Gumbel around the log of their summed probability (max-stability), so all tokens of a block of the
vocabulary that are much less probable than the best one share one number, and a token is drawn from the block where
that number wins. It is looked into only if its best token, taken for all of them, could win: A* sampling (Maddison,
Tarlow and Minka 2014, arXiv 1411.0030). The distribution is that of noise for every token.

The noise is a hash of (the sample's seed, step, token): it does not depend on the batch, and two checkpoints see the
same numbers. One uniform number a row and the inverse CDF over the vocabulary would need fewer, but there every
boundary moves with the probability of one early token, so that near checkpoints draw different tokens several times
as often (`benchmarks/evaluation/sampling.py` measures both).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor

BLOCK = 64  # tokens with one number for those of them that are light
LIGHT = math.log(
    1 / 1024
)  # log of a probability relative to the row's best: tokens above have their own numbers
LEVELS, DEEPEST = (
    64,
    4095,
)  # of probability by their logs: that of 64 nats below the best, and all after it
ROUNDING = 1e-12  # of what is compared before it is known to the last bit
# splitmix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195), its constants as signed numbers.
_GOLDEN, _FIRST, _SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


class HeavyGumbel(LogitsProcessor):  # type: ignore[misc]  # transformers ships no types for it
    """Samples a token for each row and makes its score the highest, so that greedy decoding takes it."""

    def __init__(
        self, seeds: Sequence[int], temperature: float, top_p: float, device: object
    ) -> None:
        self._seeds = torch.tensor(list(seeds), dtype=torch.int64).to(device)  # type: ignore[call-overload]
        self._temperature, self._top_p, self._step = temperature, top_p, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores, which are changed in place: they are generate's own copy."""
        keys = mixed(self._seeds + mixed(torch.full_like(self._seeds, self._step)))
        self._step += 1
        chosen = sampled(scores, keys, self._temperature, self._top_p)
        return scores.scatter_(1, chosen[:, None], torch.inf)


def sampled(logits: Tensor, keys: Tensor, temperature: float, top_p: float = 1.0) -> Tensor:
    """Return a token for each row of (rows, vocabulary), drawn with the row's key.

    `top_p` leaves the most probable tokens up to the first with which their sum reaches it, as transformers and
    vLLM do.
    """
    race = _Race.of(logits, temperature)
    rows, tokens, values = race.heavy()
    nuclei: dict[int, Tensor] = {}
    if top_p < 1:
        inside, nuclei = race.narrowed(rows, values, top_p)
        rows, tokens, values = rows[inside], tokens[inside], values[inside]
    noisy = values + gumbel(keys[rows], tokens)
    highest = torch.full_like(race.best, -torch.inf).scatter_reduce(0, rows, noisy, "amax")
    won = noisy == highest[rows]
    chosen = torch.zeros_like(keys)
    chosen[rows[won]] = tokens[won]
    rows, tokens = race.light_winners(highest, keys, nuclei)
    chosen[rows] = tokens
    return chosen


class _Race(NamedTuple):
    """Logits in blocks, with the highest of each (`tops`) and of each row (`best`).

    `cuts` are the logits above which a token is heavy, `most` the log of the relative probability of such a logit.
    """

    blocks: Tensor  # (rows, blocks, BLOCK)
    tops: Tensor
    best: Tensor
    cuts: Tensor
    most: Tensor
    temperature: float

    @classmethod
    def of(cls, logits: Tensor, temperature: float) -> "_Race":
        """Return the race of all tokens of each row."""
        blocks = _in_blocks(logits)
        tops = blocks.amax(dim=-1)
        best = tops.amax(dim=-1).double()
        cuts = (best + LIGHT * temperature).to(logits.dtype)  # compared where the logits are
        most = (cuts.double() - best) / temperature
        return cls(blocks, tops, best, cuts, most, temperature)

    def scaled(self, rows: Tensor, places: Tensor) -> Tensor:
        """Return logs of the probabilities of blocks relative to the best of their rows."""
        return (self.blocks[rows, places].double() - self.best[rows, None]) / self.temperature

    def heavy(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return (rows, tokens, logs of relative probabilities) of the heavy tokens, row by row."""
        rows, places = (self.tops > self.cuts[:, None]).nonzero(as_tuple=True)
        found = self.blocks.flatten(0, 1).index_select(0, rows * self.blocks.shape[1] + places)
        block, offset = (found > self.cuts[rows, None]).nonzero(as_tuple=True)
        rows, places, logits = rows[block], places[block], found[block, offset]
        return rows, places * BLOCK + offset, (logits.double() - self.best[rows]) / self.temperature

    def narrowed(
        self, rows: Tensor, values: Tensor, top_p: float
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Return which heavy tokens are in the nucleus, and the nuclei that have light tokens too, by row.

        The tops of the other rows go down to nothing.
        """
        mass = torch.stack(
            [
                _mass(row, one, self.temperature)
                for row, one in zip(self.blocks, self.best, strict=True)
            ]
        )
        weights = values.exp() / mass[rows]
        reaches = torch.zeros_like(mass).index_add_(0, rows, weights) >= top_p
        self.tops[reaches] = -torch.inf
        wider = (~reaches).nonzero()[:, 0].tolist()
        nuclei = {row: self._nucleus(row, mass[row], top_p) for row in wider}
        return ~reaches[rows] | (_mass_before(weights, rows) < top_p), nuclei

    def _nucleus(self, row: int, mass: Tensor, top_p: float) -> Tensor:
        """Return which tokens of a row are in the nucleus, as (blocks, BLOCK).

        Probabilities are summed by levels of LEVELS a nat; only the level that reaches `top_p` is sorted.
        """
        logs = (self.blocks[row].flatten().double() - self.best[row]) / self.temperature
        weights = logs.exp() / mass
        levels = (logs * -LEVELS).clamp_max(DEEPEST).long()
        sums = torch.bincount(levels, weights=weights)
        before = sums.cumsum(0) - sums
        last = (before < top_p).sum() - 1
        kept = levels < last
        places = (levels == last).nonzero()[:, 0]
        values, order = torch.sort(weights[places], descending=True, stable=True)
        kept[places[order]] = before[last] + values.cumsum(0) - values < top_p
        return kept.view_as(self.blocks[row])

    def light_winners(
        self, highest: Tensor, keys: Tensor, nuclei: Mapping[int, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return (rows, tokens) where a light token is above the highest heavy one, with its noise."""
        rows, places, noise = self._possible(highest, keys)
        light = self.scaled(rows, places)
        light[self.blocks[rows, places] > self.cuts[rows, None]] = -torch.inf
        for row, nucleus in nuclei.items():
            own = rows == row
            light[own] = light[own].masked_fill(~nucleus[places[own]], -torch.inf)
        noisy = light.logsumexp(dim=1) + noise
        higher = highest.scatter_reduce(0, rows, noisy, "amax")
        won = (noisy == higher[rows]) & (noisy > highest[rows])
        rows, places, light = rows[won], places[won], light[won]
        tokens = places[:, None] * BLOCK + torch.arange(BLOCK, device=keys.device)
        within = (light + gumbel(keys[rows, None], tokens)).argmax(dim=1, keepdim=True)
        return rows, tokens.gather(1, within)[:, 0]

    def _possible(self, highest: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (rows, blocks, noise) of the blocks whose light tokens could be above the highest heavy one.

        Most blocks are left out by their uniform numbers alone, before a logarithm is taken.
        """
        places = torch.arange(self.blocks.shape[1], device=keys.device)
        numbers = uniform(keys[:, None], -1 - places)
        enough = (self.most + math.log(BLOCK) - highest).exp().neg_().exp_() - ROUNDING
        rows, places = (numbers > enough[:, None]).nonzero(as_tuple=True)
        noise = _gumbel_of(numbers[rows, places])
        tops = self.tops[rows, places].minimum(self.cuts[rows]).double()
        bounds = (tops - self.best[rows]) / self.temperature
        could = bounds + noise + math.log(BLOCK) > highest[rows]
        return rows[could], places[could], noise[could]


def _in_blocks(logits: Tensor) -> Tensor:
    """Return logits as (rows, blocks, BLOCK), the last block filled up with what is never drawn."""
    if missing := -logits.shape[1] % BLOCK:
        logits = torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)
    return logits.reshape(len(logits), -1, BLOCK)


def _mass(logits: Tensor, best: Tensor, temperature: float) -> Tensor:
    """Return the summed probability of a row relative to its best."""
    return ((logits - best.float()) / temperature).exp_().sum(dtype=torch.float64)


def _mass_before(weights: Tensor, rows: Tensor) -> Tensor:
    """Return, for each heavy token, the summed probability of those of its row that are more probable."""
    order = torch.argsort(weights, descending=True, stable=True)
    order = order[torch.argsort(rows[order], stable=True)]
    before = (
        weights[order].cumsum(0) - weights[order]
    )  # over all rows: less what the rows before have
    first = torch.searchsorted(rows, rows)  # `rows` ascends, as `rows[order]` does
    result = torch.empty_like(weights)
    result[order] = before - before[first]
    return result


def gumbel(keys: Tensor, places: Tensor) -> Tensor:
    """Return standard Gumbel numbers, each a function of its key and place."""
    return _gumbel_of(uniform(keys, places))


def _gumbel_of(numbers: Tensor) -> Tensor:
    return -(-numbers.log()).log()


def uniform(keys: Tensor, places: Tensor) -> Tensor:
    """Return numbers of (0, 1) in steps of 2^-52, each a function of its key and place.

    They are float64: in float32 one of 2^25 would be 1, whose noise is infinite.
    """
    numbers = mixed(keys + places * _GOLDEN)
    numbers >>= 12  # the half below makes 53 bits, all that a float64 has
    numbers &= (1 << 52) - 1
    return numbers.double().add_(0.5).mul_(2.0**-52)


def mixed(numbers: Tensor) -> Tensor:
    """Return splitmix64's hash of int64 numbers.

    >>> mixed(torch.tensor([0x9E3779B97F4A7C15 - (1 << 64)])).item() == 0xE220A8397B1DCDAF - (1 << 64)
    True
    """
    numbers = _xor_shifted(numbers, 30).mul_(_FIRST)
    numbers = _xor_shifted(numbers, 27).mul_(_SECOND)
    return _xor_shifted(numbers, 31)


def _xor_shifted(numbers: Tensor, places: int) -> Tensor:
    """Return the numbers with their own, shifted to the right, added by xor; torch's shift keeps the sign."""
    shifted = numbers >> places
    shifted &= (1 << 64 - places) - 1
    return shifted.bitwise_xor_(numbers)
