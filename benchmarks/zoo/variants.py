"""The runs of the zoo: a shipped recipe each, what is changed in it, and a seed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ZooRun:
    """One run: a shipped recipe and what is changed in it."""

    name: str
    recipe: str
    overrides: tuple[str, ...]

    @property
    def command(self) -> str:
        """What a person types to train this run alone, streamed to a monitor."""
        return f"cusp train {self.recipe} {' '.join(self.overrides)}"


# What is varied, each against the recipe as it is: name, recipe, overrides.
VARIANTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("tiny", "tiny", ()),
    ("healthy", "tiny_healthy", ()),
    ("hard40", "tiny", ("data.hard_share=0.4",)),
    ("plain_hard60", "tiny_healthy", ("data.hard_share=0.6",)),
    ("lr1e-3", "tiny", ("grpo.learning_rate=1e-3",)),
    ("healthy_lr1e-3", "tiny_healthy", ("grpo.learning_rate=1e-3",)),
    ("rank4", "tiny", ("lora.r=4", "lora.lora_alpha=16")),
    ("dr_grpo", "tiny", ("grpo.loss_type=dr_grpo", "grpo.scale_rewards=none")),
    ("healthy_dapo", "tiny_healthy", ("grpo.loss_type=dapo",)),
    ("kl", "tiny", ("grpo.beta=0.04",)),
    ("hard90", "tiny", ("data.hard_share=0.9",)),
    ("healthy_rank4", "tiny_healthy", ("lora.r=4", "lora.lora_alpha=16")),
    ("soft_cosine", "tiny", ("rewards.cosine.wrong_short=-0.5", "rewards.cosine.wrong_long=0.0")),
    ("tina_cosine", "tiny", ("rewards.cosine.wrong_short=0.0", "rewards.cosine.wrong_long=-0.5")),
    ("lr1e-4", "tiny", ("grpo.learning_rate=1e-4",)),
    ("healthy_long", "tiny_healthy", ("grpo.max_steps=400",)),
    ("bnpo", "tiny", ("grpo.loss_type=bnpo",)),
    ("plain_hard90", "tiny_healthy", ("data.hard_share=0.9",)),
    ("rank64", "tiny", ("lora.r=64", "lora.lora_alpha=256")),
    ("healthy_lr1e-4", "tiny_healthy", ("grpo.learning_rate=1e-4",)),
    ("easy", "tiny", ("data.hard_share=0.0",)),
    ("other_base", "tiny", ("model.seed=1",)),
    ("healthy_other_base", "tiny_healthy", ("model.seed=1",)),
    ("small_batch", "tiny", ("grpo.per_device_train_batch_size=24",)),
    ("format_only", "tiny_healthy", ("rewards.accuracy.weight=0.0",)),
)
SEEDS, MORE_SEEDS = range(6), range(6, 10)  # the two shipped recipes get more
RUNS = tuple(  # every variant once before any a second time: what is made first is diverse
    ZooRun(f"{name}_s{seed}", recipe, (*overrides, f"seed={seed}"))
    for seed in (*SEEDS, *MORE_SEEDS)
    for name, recipe, overrides in (VARIANTS if seed in SEEDS else VARIANTS[:2])
)
