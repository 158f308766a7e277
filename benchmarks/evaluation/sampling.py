"""What sampling costs a token step beside Gumbel noise for every token, and how well it couples near checkpoints.

python -m benchmarks.evaluation.sampling [--quick] [--json FILE]

Cost: CPU time of the logits processors alone for 16 rows at the vocabulary of Qwen2.5, on one thread, medians of
interleaved calls. The ratio is the median of those of neighbouring calls, so that a load of the box meets both, to
noise for every token of the vocabulary, drawn on the CPU; with top-p to the same behind transformers' warper.
Coupling: the share of steps in which two near checkpoints draw another token with the same seed, in units of the
total variation between them, the least that any coupling can reach.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import TopPLogitsWarper

from trainer.evaluation.engines.heavy_gumbel import HeavyGumbel, mixed, sampled, uniform

ROWS, VOCABULARY, TEMPERATURE = 16, 151_936, 0.7
COUPLED_VOCABULARY = 4_096
FULL, FULL_TOP_P = "noise for every token", "noise for every token, top-p .95"
CHANGES = (0.03, 0.1, 0.3)  # standard deviation of the logits' difference between two checkpoints
Token = Callable[[Tensor, Tensor], Tensor]


class FullNoise:
    """Standard Gumbel noise for each token, from a generator of each row on the CPU; the way until now."""

    AHEAD = 1 << 22

    def __init__(self, seeds: Sequence[int], top_p: float = 1.0) -> None:
        self._nucleus = TopPLogitsWarper(top_p) if top_p < 1 else None
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._block, self._next = torch.empty(0), 0

    def __call__(self, scores: Tensor) -> Tensor:
        scores = scores / TEMPERATURE
        if self._nucleus is not None:
            scores = self._nucleus(torch.empty(0), scores)
        if self._next == len(self._block):
            steps = max(1, self.AHEAD // (len(self._generators) * scores.shape[1]))
            drawn = [torch.rand(steps, scores.shape[1], generator=one) for one in self._generators]
            self._block = -torch.log(-torch.log(torch.stack(drawn, dim=1).clamp_min(1e-30)))
            self._next = 0
        self._next += 1
        return torch.log_softmax(scores.float(), dim=-1) + self._block[self._next - 1]


def rows_of_logits(kind: str) -> Tensor:
    """Return logits: `sure` has twenty tokens that stand out, as where a language model is, `flat` none."""
    generator = torch.Generator().manual_seed(0)
    logits = 2.5 * torch.randn(ROWS, VOCABULARY, generator=generator)
    if kind == "sure":  # twenty tokens stand out, each some way below the one before
        gaps = torch.rand(ROWS, 20, generator=generator) * 1.5
        places = torch.randint(VOCABULARY, (ROWS, 20), generator=generator)
        logits.scatter_(1, places, 22 - gaps.cumsum(dim=1))
    return logits


def costs(kind: str, calls: int) -> dict[str, tuple[float, float]]:
    """Return the median CPU milliseconds of a step, and how many times the full noise beside it took that."""
    logits = rows_of_logits(kind)
    heavy = HeavyGumbel(range(ROWS), TEMPERATURE, 1.0, "cpu")
    nucleus = HeavyGumbel(range(ROWS), TEMPERATURE, 0.95, "cpu")
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        FULL: FullNoise(range(ROWS)),
        "noise for heavy tokens": lambda scores: heavy(torch.empty(0), scores),
        FULL_TOP_P: FullNoise(range(ROWS), 0.95),
        "noise for heavy tokens, top-p .95": lambda scores: nucleus(torch.empty(0), scores),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(calls):
        for name, way in ways.items():
            scores = logits.clone()
            begun = time.thread_time()
            way(scores)
            taken[name].append(1e3 * (time.thread_time() - begun))
    found = {}
    for name, each in taken.items():
        full = taken[FULL_TOP_P if "top-p" in name else FULL]
        ratios = [before / now for before, now in zip(full[1:], each[1:], strict=True)]
        found[name] = statistics.median(each[1:]), statistics.median(ratios)
    return found


def full_noise(logits: Tensor, keys: Tensor) -> Tensor:
    """Return the arg max of log-probability and noise for each token."""
    places = torch.arange(logits.shape[1])
    noise = -(-uniform(keys[:, None], places[None]).log()).log()
    return (logits.double() / TEMPERATURE + noise).argmax(dim=1)


def inverse_cdf(logits: Tensor, keys: Tensor) -> Tensor:
    """Return the tokens at one uniform number a row of the cumulated probabilities."""
    sums = torch.softmax(logits.double() / TEMPERATURE, dim=1).cumsum(dim=1)
    numbers = uniform(keys, torch.zeros_like(keys)) * sums[:, -1]
    return torch.searchsorted(sums, numbers[:, None], right=True)[:, 0]


def heavy_noise(logits: Tensor, keys: Tensor) -> Tensor:
    """Return what the engine `hf` draws."""
    return sampled(logits, keys, TEMPERATURE)


def coupling(draws: int, change: float) -> dict[str, float]:
    """Return how often two checkpoints draw another token, over the total variation between them."""
    generator = torch.Generator().manual_seed(1)
    logits = 2.5 * torch.randn(draws, COUPLED_VOCABULARY, generator=generator)
    other = logits + change * torch.randn(logits.shape, generator=generator)
    one, two = torch.softmax(logits / TEMPERATURE, 1), torch.softmax(other / TEMPERATURE, 1)
    least = float((one - two).abs().sum(dim=1).mean()) / 2
    keys = mixed(torch.arange(draws))
    ways: tuple[Token, ...] = (full_noise, inverse_cdf, heavy_noise)
    return {
        way.__name__: float((way(logits, keys) != way(other, keys)).double().mean()) / least
        for way in ways
    }


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    taken = {kind: costs(kind, 5 if options.quick else 41) for kind in ("sure", "flat")}
    for kind, each in taken.items():
        print(f"{f'a step of 16 rows, vocabulary 151,936, {kind}':<46} {'CPU ms':>8} {'ratio':>7}")
        for name, (ms, ratio) in each.items():
            print(f"{name:<46} {ms:8.2f} {ratio:7.1f}")
    draws = 500 if options.quick else 4_000
    coupled = {str(change): coupling(draws, change) for change in CHANGES}
    print(f"\n{'another token / total variation':<40} " + " ".join(f"{c:>7}" for c in CHANGES))
    for name in next(iter(coupled.values())):
        values = " ".join(f"{each[name]:7.2f}" for each in coupled.values())
        print(f"{name.replace('_', ' '):<40} {values}")
    if options.json:
        options.json.write_text(json.dumps({"ms": taken, "coupling": coupled}))


if __name__ == "__main__":
    main()
