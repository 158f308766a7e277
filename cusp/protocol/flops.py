"""Floating-point operations of a training for each token, from the numbers of parameters.

A forward pass takes 2 operations a parameter and token (a multiplication and an addition), a backward pass
twice that: 2 for the gradients of the activations, 2 for those of the weights (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1; Hoffmann et al. 2022, arXiv:2203.15556, appendix F). With LoRA the gradients of
the weights are those of the adapter alone. Attention's products, which grow with the square of the length, are
left out.
"""

FORWARD = (
    2.0  # a parameter and token; the gradients of activations take as much, those of weights too
)


def training_flops(
    parameters: int,
    trained: int,
    *,
    generates: bool,
    passes: int = 1,
    recomputes: bool = False,
    scored: int = 0,
) -> float:
    """Return the operations for each token that a training logs (prompts and completions, each counted once).

    `parameters` are those of the base and the adapter, `trained` of them the adapter's. `generates`: the training
    generates the tokens itself, one forward pass each. `passes` are the forward and backward passes over each token
    (`num_iterations`), `recomputes` says that the backward pass repeats the forward one (gradient
    checkpointing), `scored` how many more forward passes there are (reference model, old policy).

    >>> training_flops(1_000, 1_000, generates=False)
    6000.0
    >>> training_flops(1_000, 10, generates=True, recomputes=True)
    8020.0
    """
    forward = FORWARD * parameters
    backward = FORWARD * parameters + FORWARD * trained
    once = forward + backward + (forward if recomputes else 0.0)
    return (forward if generates else 0.0) + passes * once + scored * forward


def generation_flops(parameters: int) -> float:
    """Return the operations to generate or read one token: a forward pass."""
    return FORWARD * parameters
