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
    """Logits in blocks, and `bounds`: logs of the best probability of each block relative to its row's best."""

    blocks: Tensor  # (rows, blocks, BLOCK)
    best: Tensor
    bounds: Tensor
    temperature: float

    @classmethod
    def of(cls, logits: Tensor, temperature: float) -> "_Race":
        """Return the race of all tokens of each row."""
        blocks = _in_blocks(logits)
        tops = blocks.amax(dim=-1)
        best = tops.amax(dim=-1).double()
        return cls(blocks, best, (tops.double() - best[:, None]) / temperature, temperature)

    def scaled(self, rows: Tensor, places: Tensor) -> Tensor:
        """Return logs of the probabilities of blocks relative to the best of their rows."""
        return (self.blocks[rows, places].double() - self.best[rows, None]) / self.temperature

    def heavy(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return (rows, tokens, logs of relative probabilities) of the heavy tokens, row by row."""
        rows, places = (self.bounds > LIGHT).nonzero(as_tuple=True)
        values = self.scaled(rows, places)
        block, offset = (values > LIGHT).nonzero(as_tuple=True)
        return rows[block], places[block] * BLOCK + offset, values[block, offset]

    def narrowed(
        self, rows: Tensor, values: Tensor, top_p: float
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Return which heavy tokens are in the nucleus, and the nuclei that have light tokens too, by row.

        The bounds of the other rows go down to nothing.
        """
        mass = torch.stack(
            [
                _mass(row, one, self.temperature)
                for row, one in zip(self.blocks, self.best, strict=True)
            ]
        )
        weights = values.exp() / mass[rows]
        reaches = torch.zeros_like(mass).index_add_(0, rows, weights) >= top_p
        self.bounds[reaches] = -torch.inf
        wider = (~reaches).nonzero()[:, 0].tolist()
        nuclei = {row: self._nucleus(row, mass[row], top_p) for row in wider}
        return ~reaches[rows] | (_mass_before(weights, rows) < top_p), nuclei

    def _nucleus(self, row: int, mass: Tensor, top_p: float) -> Tensor:
        """Return which tokens of a row are in the nucleus, as (blocks, BLOCK): the whole row is sorted."""
        logs = (self.blocks[row].flatten().double() - self.best[row]) / self.temperature
        values, order = torch.sort(logs.exp() / mass, descending=True, stable=True)
        kept = values.cumsum(0) - values < top_p
        return torch.zeros_like(kept).index_copy_(0, order, kept).view_as(self.blocks[row])

    def light_winners(
        self, highest: Tensor, keys: Tensor, nuclei: Mapping[int, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return (rows, tokens) where a light token is above the highest heavy one, with its noise."""
        places = torch.arange(self.blocks.shape[1], device=keys.device)
        noise = gumbel(keys[:, None], -1 - places)
        possible = self.bounds.clamp_max(LIGHT) + noise + math.log(BLOCK)
        rows, places = (possible > highest[:, None]).nonzero(as_tuple=True)
        light = self.scaled(rows, places)
        light[light > LIGHT] = -torch.inf
        for row, nucleus in nuclei.items():
            own = rows == row
            light[own] = light[own].masked_fill(~nucleus[places[own]], -torch.inf)
        noisy = light.logsumexp(dim=1) + noise[rows, places]
        higher = highest.scatter_reduce(0, rows, noisy, "amax")
        won = (noisy == higher[rows]) & (noisy > highest[rows])
        rows, places, light = rows[won], places[won], light[won]
        tokens = places[:, None] * BLOCK + torch.arange(BLOCK, device=keys.device)
        within = (light + gumbel(keys[rows, None], tokens)).argmax(dim=1, keepdim=True)
        return rows, tokens.gather(1, within)[:, 0]


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
    return -(-uniform(keys, places).log()).log()


def uniform(keys: Tensor, places: Tensor) -> Tensor:
    """Return numbers of (0, 1) in steps of 2^-53, each a function of its key and place."""
    return ((mixed(keys + places * _GOLDEN) >> 11 & (1 << 53) - 1) + 0.5) * 2.0**-53


def mixed(numbers: Tensor) -> Tensor:
    """Return splitmix64's hash of int64 numbers.

    >>> mixed(torch.tensor([0x9E3779B97F4A7C15 - (1 << 64)])).item() == 0xE220A8397B1DCDAF - (1 << 64)
    True
    """
    numbers = (numbers ^ _shifted(numbers, 30)) * _FIRST
    numbers = (numbers ^ _shifted(numbers, 27)) * _SECOND
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, places: int) -> Tensor:
    """Return an unsigned shift to the right; that of torch keeps the sign."""
    return numbers >> places & (1 << 64 - places) - 1
