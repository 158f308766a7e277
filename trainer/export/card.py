"""The model card (README.md) of an export: what it is, how it was trained, what was measured, how it is served."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData, hf_hub_download

from trainer.export.card_scores import evaluation_part
from trainer.export.merging import Merged
from trainer.export.origin import Origin
from trainer.export.tables import table
from trainer.recipe import Recipe, TinyModel

UNKNOWN = "not known here; see the base model's page"


@dataclass(frozen=True)
class Facts:
    """What the monitor knows of the run and the checkpoint, as REST returns it; empty without a monitor."""

    run: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Sequence[Mapping[str, Any]] = ()
    comparison: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Subject:
    """What a card is about: the weights, their origin, and how they are served."""

    name: str
    step: int | None
    sha256: str
    origin: Origin
    serve: str
    merged: Merged | None
    notes: tuple[str, ...] = ()


def card(subject: Subject, facts: Facts) -> str:
    """Return the text of the model card, with its metadata first."""
    parts = [
        f"---\n{_metadata(subject).to_yaml()}\n---",
        f"# {subject.name}",
        _what(subject, facts),
        _use(subject),
        _trained(subject.origin.recipe, facts),
        _found(facts),
        evaluation_part(facts.checkpoint, facts.evaluations, facts.comparison) if facts.run else "",
        _precision(subject.merged),
        *subject.notes,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def licence_of(origin: Origin) -> str | None:
    """Return the licence in the base's own model card, None if that says none or cannot be had."""
    if origin.recipe is not None and isinstance(origin.recipe.model, TinyModel):
        return "apache-2.0"  # Cusp's own
    try:
        if origin.is_local:
            text = (Path(origin.name) / "README.md").read_text(encoding="utf-8")
        else:
            got = hf_hub_download(origin.name, "README.md", revision=origin.revision)
            text = Path(got).read_text(encoding="utf-8")
        said = vars(ModelCard(text, ignore_metadata_errors=True).data).get("license")
    except (OSError, ValueError):  # no card, no network, no metadata
        return None
    return str(said) if said else None


def _metadata(subject: Subject) -> ModelCardData:
    base = None if subject.origin.is_local else subject.origin.name
    return ModelCardData(
        base_model=base,
        license=licence_of(subject.origin),
        library_name="transformers" if subject.merged else "peft",
        pipeline_tag="text-generation",
        tags=["cusp", "grpo", *([] if subject.merged else ["lora"])],
    )


def _what(subject: Subject, facts: Facts) -> str:
    origin = subject.origin
    rows = [
        ("weights", f"LoRA adapter{', merged into its base' if subject.merged else ''}"),
        ("base model", " at ".join(f"`{each}`" for each in (origin.name, origin.revision) if each)),
        ("licence of the base model", licence_of(origin) or UNKNOWN),
        ("step", "not known" if subject.step is None else f"{subject.step:,}"),
        ("sha256 of the checkpoint's manifest", f"`{subject.sha256}`"),
    ]
    if facts.run:
        rows.append(("run", f"{facts.run['name']} (`{facts.run['id']}`)"))
        rows.append(("aliases", ", ".join(facts.checkpoint.get("aliases", ())) or "none"))
    return table(("", ""), rows)


def _use(subject: Subject) -> str:
    return f"## Use\n\nIn this folder (vLLM 0.31):\n\n```\n{subject.serve}\n```"


def _trained(recipe: Recipe | None, facts: Facts) -> str:
    if recipe is not None:
        told = table(("", ""), _values(recipe))
        return f"## Training\n\n{told}\n\nEvery value is in `recipe.yaml`."
    config = json.dumps(facts.run.get("config", {}), indent=1, sort_keys=True)[:20_000]
    said = f"\n\n```json\n{config}\n```" if facts.run.get("config") else ""
    return f"## Training\n\nNo recipe lies beside the checkpoint.{said}"


def _values(recipe: Recipe) -> list[tuple[str, str]]:
    """Return the names and values of a recipe that tell most of a model."""
    grpo, lora = recipe.grpo, recipe.lora
    return [
        ("method", f"GRPO ({grpo.loss_type} loss) with LoRA, TRL"),
        ("LoRA", f"r {lora.r}, alpha {lora.lora_alpha}, dropout {lora.lora_dropout}"),
        ("LoRA modules", ", ".join(lora.target_modules)),
        ("learning rate", f"{grpo.learning_rate:g}, {grpo.lr_scheduler_type}"),
        ("completions a prompt", str(grpo.num_generations)),
        ("completion length", f"at most {grpo.max_completion_length} tokens"),
        ("KL coefficient beta", f"{grpo.beta:g}"),
        ("rewards", ", ".join(f"{each.name} (weight {each.weight:g})" for each in recipe.rewards)),
        ("rollouts", recipe.rollouts.sync),
        ("seed", str(recipe.seed)),
    ]


def _found(facts: Facts) -> str:
    if not facts.run:
        return ""
    lines = [str(facts.run["words"])]
    if found := facts.run.get("transition"):
        lines.append(
            f"A transition was placed at step {found['step']} ({found['low']} to {found['high']},"
            f" {found['state']}); step {found['safe_step']} is safely before it."
        )
    return "## Verdict\n\n" + " ".join(lines)


def _precision(merged: Merged | None) -> str:
    if merged is None:
        return ""
    if merged.error is None or merged.error_bfloat16 is None:
        return f"## Precision\n\nMerged in float32, stored in {merged.dtype}; the loss was not measured (DoRA)."
    return (
        "## Precision\n\nThe adapter was merged in float32 and the sum stored in"
        f" {merged.dtype}. Of the update D to the base's weights W,"
        f" ||round(W + D) - W - D|| / ||D|| = {merged.error:.3g} is lost by that"
        f" (in bfloat16 it would be {merged.error_bfloat16:.3g}), over all LoRA layers. The adapter served beside"
        " its base loses nothing."
    )
