"""TRL's trainer, which also measures how far vLLM's log-probabilities are from its own, at no cost.

TRL logs that difference only where it corrects the loss by it (`vllm_importance_sampling_correction`), and
computes the log-probabilities a second time for it. The loss computes them anyway: with the weights that the
completions were drawn with they are the same numbers, so they are compared there and the loss stays as it was.
"""

from typing import Any

import torch
from trl import GRPOTrainer

MEAN = "sampling/sampling_logp_difference/mean"  # TRL's names: the page knows them
MAX = "sampling/sampling_logp_difference/max"


class MeasuredGRPOTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL ships no types
    """`GRPOTrainer` that logs the difference in each step that draws completions with vLLM."""

    _logps: torch.Tensor | None = None

    def _get_per_token_logps_and_entropies(self, *arguments: Any, **named: Any) -> Any:
        found = super()._get_per_token_logps_and_entropies(*arguments, **named)
        self._logps = found[0].detach()
        return found

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        loss = super()._compute_loss(model, inputs)
        sampled = inputs.get("sampling_per_token_logps")
        # Later iterations on the same completions have other weights than those that drew them.
        fresh = self.use_vllm and self._last_loaded_step == self.state.global_step
        if fresh and sampled is not None and not self.vllm_importance_sampling_correction:
            mask = inputs["completion_mask"]
            mask = mask * inputs["tool_mask"] if "tool_mask" in inputs else mask
            self._note(self._logps, sampled, mask.bool())
        self._logps = None
        return loss

    def _note(self, own: torch.Tensor | None, sampled: torch.Tensor, mask: torch.Tensor) -> None:
        assert own is not None
        total, count, highest = difference(own, sampled, mask)
        sums = self.accelerator.gather(torch.stack([total, count]).unsqueeze(0)).sum(dim=0)
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics[MEAN].append(float(sums[0] / sums[1].clamp(min=1)))
        metrics[MAX].append(float(self.accelerator.gather(highest).max()))


def difference(
    own: torch.Tensor, sampled: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return sum, number and maximum of |own - sampled| over the tokens of a mask; NaN is no token.

    vLLM gives NaN for a token that it could not score.

    >>> own, sampled = torch.tensor([[-1.0, -2.0, -3.0]]), torch.tensor([[-1.5, -2.0, float("nan")]])
    >>> [float(each) for each in difference(own, sampled, torch.ones(1, 3, dtype=torch.bool))]
    [0.5, 2.0, 0.5]
    """
    apart = (own.float() - sampled.float()).abs()
    apart = apart[mask & ~apart.isnan()]
    zero = torch.zeros((), device=own.device)
    highest = apart.max() if apart.numel() else zero
    return apart.sum(), zero + apart.numel(), highest
