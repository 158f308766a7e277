"""The recipe: a YAML file that fully describes a training. Every value is written out in it.

No field has a default, so a recipe never means something else after an upgrade; an unknown key is
refused. A key that came later has one: what recipes stored before it meant. Names under `grpo` are those
of `trl.GRPOConfig` (TRL 1.16).
"""

from trainer.recipe.engine_kinds import Engine, HfEngine, OpenAIEngine, VllmEngine
from trainer.recipe.grpo import GrpoSection
from trainer.recipe.model_kinds import PretrainedModel, SmolModel, TinyModel, WarmStart
from trainer.recipe.problem_kinds import (
    GymData,
    GymEvaluation,
    GymTask,
    HubData,
    JsonlData,
    JsonlEvaluation,
    Sampling,
    SelectionTask,
    SuiteEvaluation,
    SuiteTask,
    TableData,
    TargetLength,
    TinyData,
    TinyEvaluation,
)
from trainer.recipe.recipe import Recipe
from trainer.recipe.reward_kinds import (
    AccuracyReward,
    CosineReward,
    FormatReward,
    L1ExactReward,
    L1MaxReward,
    LengthReward,
    ReasoningStepsReward,
    RepetitionPenaltyReward,
    TagCountReward,
    Unit,
    Verifier,
)
from trainer.recipe.sections import LoraSection, RolloutsSection, RunSection

__all__ = [
    "AccuracyReward",
    "CosineReward",
    "Engine",
    "FormatReward",
    "GrpoSection",
    "GymData",
    "GymEvaluation",
    "GymTask",
    "HfEngine",
    "HubData",
    "JsonlData",
    "JsonlEvaluation",
    "L1ExactReward",
    "L1MaxReward",
    "LengthReward",
    "LoraSection",
    "OpenAIEngine",
    "PretrainedModel",
    "ReasoningStepsReward",
    "Recipe",
    "RepetitionPenaltyReward",
    "RolloutsSection",
    "RunSection",
    "Sampling",
    "SelectionTask",
    "SmolModel",
    "SuiteEvaluation",
    "SuiteTask",
    "TableData",
    "TagCountReward",
    "TargetLength",
    "TinyData",
    "TinyEvaluation",
    "TinyModel",
    "Unit",
    "Verifier",
    "VllmEngine",
    "WarmStart",
]
