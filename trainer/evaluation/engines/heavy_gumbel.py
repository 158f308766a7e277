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
from collections.abc import Sequence

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
    blocks = _in_blocks(logits)
    tops = blocks.amax(dim=-1)
    best = tops.amax(dim=-1).double()

    def scaled(values: Tensor, rows: Tensor) -> Tensor:
        """Return logs of probabilities relative to the best of their rows."""
        return (values.double() - best[rows, None]) / temperature

    every = torch.arange(len(keys), device=keys.device)
    bounds = scaled(tops, every)
    rows, places = (bounds > LIGHT).nonzero(as_tuple=True)
    values = scaled(blocks[rows, places], rows)
    block, offset = (values > LIGHT).nonzero(as_tuple=True)
    rows, tokens, values = rows[block], places[block] * BLOCK + offset, values[block, offset]
    nuclei: dict[int, Tensor] = {}
    if top_p < 1:
        mass = torch.stack(
            [_mass(row, one, temperature) for row, one in zip(logits, best, strict=True)]
        )
        weights = values.exp() / mass[rows]
        reaches = torch.zeros_like(mass).index_add_(0, rows, weights) >= top_p
        inside = ~reaches[rows] | (_mass_before(weights, rows) < top_p)
        rows, tokens, values = rows[inside], tokens[inside], values[inside]
        bounds[reaches] = -torch.inf
        for row in (~reaches).nonzero()[:, 0].tolist():
            nuclei[row] = _nucleus(
                blocks[row], float(mass[row].log()), best[row], temperature, top_p
            )

    noisy = values + gumbel(keys[rows], tokens)
    highest = torch.full_like(best, -torch.inf).scatter_reduce(0, rows, noisy, "amax")
    chosen = torch.zeros_like(keys)
    won = noisy == highest[rows]
    chosen[rows[won]] = tokens[won]

    noise = gumbel(keys[:, None], -1 - torch.arange(blocks.shape[1], device=keys.device))
    bounds.clamp_max_(LIGHT).add_(noise).add_(math.log(BLOCK))
    rows, places = (bounds > highest[:, None]).nonzero(as_tuple=True)
    light = scaled(blocks[rows, places], rows)
    light[light > LIGHT] = -torch.inf
    for row, nucleus in nuclei.items():
        own = rows == row
        light[own] = light[own].masked_fill(~nucleus[places[own]], -torch.inf)
    noisy = light.logsumexp(dim=1) + noise[rows, places]
    higher = highest.scatter_reduce(0, rows, noisy, "amax")
    won = (noisy == higher[rows]) & (noisy > highest[rows])
    rows, light = rows[won], light[won]
    tokens = places[won, None] * BLOCK + torch.arange(BLOCK, device=keys.device)
    within = (light + gumbel(keys[rows, None], tokens)).argmax(dim=1)
    chosen[rows] = tokens.gather(1, within[:, None])[:, 0]
    return chosen


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


def _nucleus(
    blocks: Tensor, log_mass: float, best: Tensor, temperature: float, top_p: float
) -> Tensor:
    """Return which tokens of one row are in the nucleus, as (blocks, BLOCK): the whole row is sorted."""
    weights = ((blocks.flatten().double() - best) / temperature - log_mass).exp()
    values, order = torch.sort(weights, descending=True, stable=True)
    kept = values.cumsum(0) - values < top_p
    return torch.zeros_like(kept).index_copy_(0, order, kept).view_as(blocks)


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
