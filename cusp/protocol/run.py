"""Announcement of a run: policy, metadata and `RunStart`."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from cusp.protocol.fields import (
    MAX_TAGS,
    NAMED,
    NUMBER,
    Finite,
    Id,
    Name,
    Object,
    Positive,
    Step,
    Version,
    Wire,
)


class RewardSpec(Wire):
    """Range of one reward; `graded` says that it takes more values than its two ends."""

    low: Finite = 0.0
    high: Finite = 1.0
    graded: StrictBool = False


By = Literal["training", "function"]  # who scores held-out problems for a verification


class Policy(Wire):
    """What the monitor may do by itself.

    `action`: `stop` keeps and stops on a confirmed transition, `propose` waits for a person,
    `watch` keeps the checkpoint but never stops. `evaluate`: which checkpoints to score at the end.
    `verify`: whether a suspicion is verified on held-out problems before it is acted on (where something can),
    and `verify_budget` how many completions that may cost a run.
    """

    action: Literal["stop", "propose", "watch"] = "stop"
    preset: Name = "default"
    evaluate: Literal["candidates", "all", "none"] = "candidates"
    verify: Literal["auto", "off"] = "auto"
    verify_budget: Positive = 1_500


class RunMetadata(Wire):
    """What the detector and the cost figures want to know about a run; unknown is None and said so.

    `recipe` says whether a recipe lies in the run's folder, so that a worker can train it on, and
    `evaluable` whether that recipe names the problems to score its checkpoints on. `roles` names the
    logged keys of a role where the user told them (`{"format": ["rewards/soft_format_reward_func"]}`);
    a role that is not named is found by rules. `reward_weights` are the weights of the reward functions
    in training, by function name. `verifies` says that the training can score held-out problems itself between
    two steps, or with a function of the user's. `flops_per_token` are the operations of the training for each
    token that it logs (`cusp.protocol.flops`).
    """

    max_steps: Positive | None = None
    completions_per_point: Positive | None = None
    completion_limit_tokens: Positive | None = None
    save_steps: Positive | None = None
    rewards: Annotated[dict[Name, RewardSpec], Field(max_length=64, json_schema_extra=NAMED)] = {}
    roles: Annotated[
        dict[Name, Annotated[list[Name], Field(max_length=64)]],
        Field(max_length=16, json_schema_extra=NAMED),
    ] = {}
    reward_weights: Annotated[
        dict[Name, Finite], Field(max_length=64, json_schema_extra=NAMED)
    ] = {}
    gpu_count: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] = 0
    gpu_hourly_usd: Annotated[float, Field(ge=0, le=1_000_000), NUMBER] | None = None
    trainable_parameters: Step | None = None
    model_parameters: Step | None = None
    flops_per_token: Annotated[float, Field(ge=0, le=2**53), NUMBER] | None = None
    recipe: StrictBool | None = None
    evaluable: StrictBool | None = None
    verifies: By | None = None


class RunStart(Wire):
    """`POST /api/v1/runs`: announces one process life (attempt) of a run. Idempotent.

    Attempts are in the order in which they are announced. `after` is the attempt that the run's folder held
    when this one started: one that is told late belongs right behind it. `late` says that the process has
    ended and another one ships its spool, False that it is alive. `age_s` is how long ago the attempt began.
    """

    v: Version = 1
    run_id: Id
    attempt_id: Id
    project: Name = "default"
    name: Name
    config: Object = {}
    policy: Policy = Policy()
    metadata: RunMetadata = RunMetadata()
    host: Name | None = None
    tags: Annotated[list[Name], Field(max_length=MAX_TAGS)] = []
    after: Id | None = None
    at: Finite | None = None
    late: StrictBool | None = None
    age_s: Annotated[float, Field(ge=0, allow_inf_nan=False), NUMBER] | None = None
