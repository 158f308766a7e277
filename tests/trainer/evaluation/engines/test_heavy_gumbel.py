"""Sampling draws from the model's distribution, alike in any batch, and near checkpoints draw the same tokens."""

import pytest
import torch
from scipy.stats import chisquare
from transformers import TopPLogitsWarper

from trainer.evaluation.engines.heavy_gumbel import BLOCK, HeavyGumbel, gumbel, mixed, sampled

DRAWS = 40_000
KEY, PLACE = 0, 1_869_154


def drawn(logits: torch.Tensor, temperature: float = 1.0, top_p: float = 1.0) -> torch.Tensor:
    """Return how often each token is drawn."""
    keys = mixed(torch.arange(DRAWS))
    tokens = sampled(logits.expand(DRAWS, -1), keys, temperature, top_p)
    return torch.bincount(tokens, minlength=logits.shape[-1]).double()


def rows() -> dict[str, torch.Tensor]:
    """Logits of a row: three tokens; one that stands out of light ones; all light; light ones in the nucleus."""
    generator = torch.Generator().manual_seed(3)
    return {
        "few": torch.tensor([0.6, 0.3, 0.1]).log(),
        "peak": torch.cat([torch.tensor([6.5]), torch.randn(4 * BLOCK + 7, generator=generator)]),
        "normal": 2 * torch.randn(3 * BLOCK, generator=generator),
        "heavy and light": torch.cat([torch.tensor([3.0, 2.5]), torch.full((300,), -4.5)]),
    }


@pytest.mark.parametrize("kind", rows())
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.9)])
def test_tokens_are_drawn_from_the_models_distribution(
    kind: str, temperature: float, top_p: float
) -> None:
    logits = rows()[kind]
    scores = logits[None] / temperature
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(torch.empty(0), scores)
    expected = torch.softmax(scores.double(), dim=1)[0] * DRAWS
    found = drawn(logits, temperature, top_p)
    assert not found[expected == 0].any(), "a token outside the nucleus was drawn"
    often = expected >= 5  # the approximation's rule; the others together are one class
    classes = [torch.cat([each[often], each[~often].sum()[None]]) for each in (found, expected)]
    classes = [each[classes[1] > 0] for each in classes]
    assert chisquare(*classes).pvalue > 1e-4


def test_no_noise_is_infinite() -> None:
    """At this place the number is so near to 1 that float32 has none between: its noise would beat any token's."""
    noise = gumbel(torch.tensor([KEY]), torch.tensor([PLACE]))
    assert noise.dtype == torch.float64
    assert 17 < float(noise) < 40


def test_steps_and_seeds_are_independent() -> None:
    flat = torch.zeros(1, 4)
    seeds = [7 * n for n in range(5_000)]
    processor = HeavyGumbel(seeds, 1.0, 1.0, "cpu")
    steps = [processor(torch.empty(0), flat.repeat(len(seeds), 1)).argmax(dim=1) for _ in range(2)]
    pairs = torch.bincount(4 * steps[0] + steps[1], minlength=16)
    assert chisquare(pairs.numpy()).pvalue > 1e-4
    following = torch.bincount(4 * steps[0][1:] + steps[0][:-1], minlength=16)
    assert chisquare(following.numpy()).pvalue > 1e-4


def test_a_token_depends_on_its_row_only() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(64, 1_000, generator=generator)
    keys = mixed(torch.arange(64))
    for top_p in (1.0, 0.8):
        together = sampled(logits, keys, 0.8, top_p)
        backwards = sampled(logits.flip(0), keys.flip(0), 0.8, top_p).flip(0)
        alone = [sampled(logits[n : n + 1], keys[n : n + 1], 0.8, top_p) for n in range(64)]
        assert together.tolist() == backwards.tolist() == [int(one) for one in alone]


def test_near_checkpoints_draw_the_same_tokens_but_for_twice_what_differs() -> None:
    """The arg max with the same noise differs at most 2 d / (1 + d) of the time, d the total variation."""
    generator = torch.Generator().manual_seed(1)
    logits = 2.5 * torch.randn(4_000, 2_000, generator=generator)
    other = logits + 0.03 * torch.randn(logits.shape, generator=generator)
    difference = torch.softmax(logits, 1) - torch.softmax(other, 1)
    least = float(difference.abs().sum(dim=1).mean()) / 2
    keys = mixed(torch.arange(len(logits)))
    differ = sampled(logits, keys, 1.0) != sampled(other, keys, 1.0)
    assert float(differ.double().mean()) < 3 * least
