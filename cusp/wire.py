"""The contract between a trainer and the monitor, as documented in docs/reference/protocol.md.

A `Batch` carries messages up, its `Reply` carries commands down. Every message has a sequence number
that the trainer owns (`first_seq` + its position), so a repeat is recognised and a gap is seen.
Non-finite numbers do not exist here: a value that was not measured is left out and counted.
"""

import json
import reprlib
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from cusp.ids import ULID_PATTERN

WIRE_VERSION = 1

MAX_MESSAGES = 5_000
MAX_METRICS = 512
MAX_NAME_LENGTH = 200
MAX_TEXT_LENGTH = 32_768
MAX_STEP = 2**53
MAX_INTEGER = 2**1000  # fits a float
MAX_SKIPPED = 100_000
MAX_TAGS = 32
MAX_PATH_LENGTH = 1_000
MAX_DEPTH = 64  # of lists and objects in each other; what reads an answer may stop at a few hundred


def storable(text: str) -> str:
    """Return the text, or raise ValueError for what PostgreSQL cannot hold: NUL, lone surrogates."""
    if "\0" in text:
        raise ValueError("text must not hold a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text must be valid Unicode, without lone surrogates") from None
    return text


def storable_text(text: str) -> str:
    r"""Return the text with a question mark for everything that PostgreSQL cannot hold.

    >>> storable_text("a\0b\ud800")
    'a?b?'
    """
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


def _storable_object(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"must be plain JSON: {error}") from None
    storable(text)
    if "\\u0000" in text:
        raise ValueError("text must not hold a NUL character")
    if _deeper_than(value, MAX_DEPTH):
        raise ValueError(f"lists and objects may lie in each other {MAX_DEPTH} deep, not deeper")
    return value


def _deeper_than(value: object, depth: int) -> bool:
    """Return whether lists and objects lie in each other deeper than that. No recursion."""
    layer = [value]
    for _ in range(depth):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return any(isinstance(one, dict | list) for one in layer)


def _number(value: Any) -> Any:
    """Refuse what Python would read as a number and JSON does not: true, and "1"."""
    if isinstance(value, bool | str | bytes):
        raise ValueError(f"must be a number, not {type(value).__name__}")
    return value


# What JSON Schema can say of `storable` and `_storable_object`; recursive, so it has a name of its own.
NO_NUL = {"pattern": "^[^\\u0000]*$"}
PLAIN_JSON: dict[str, Any] = {
    "description": "JSON without a NUL character in any string",
    "anyOf": [
        {"type": ["null", "boolean", "number"]},
        {"type": "string", **NO_NUL},
        {"type": "array", "items": {"$ref": "#/components/schemas/PlainJson"}},
        {"$ref": "#/components/schemas/PlainObject"},
    ],
}
PLAIN_OBJECT: dict[str, Any] = {
    "type": "object",
    "propertyNames": NO_NUL,
    "additionalProperties": {"$ref": "#/components/schemas/PlainJson"},
}

Id = Annotated[str, Field(pattern=ULID_PATTERN)]
Name = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME_LENGTH, json_schema_extra=NO_NUL),
    AfterValidator(storable),
]
Text = Annotated[
    str, Field(max_length=MAX_TEXT_LENGTH, json_schema_extra=NO_NUL), AfterValidator(storable)
]
# Of a dict with names as keys. Pydantic writes a key's pattern as `patternProperties`, which lets others by.
NAMED = {"propertyNames": {"minLength": 1, "maxLength": MAX_NAME_LENGTH, **NO_NUL}}
Object = Annotated[dict[str, Any], AfterValidator(_storable_object), WithJsonSchema(PLAIN_OBJECT)]
# After `Field`, or the limits are missing in the JSON schema.
NUMBER = BeforeValidator(_number)
Step = Annotated[int, Field(ge=0, le=MAX_STEP), NUMBER]
Finite = Annotated[float, Field(allow_inf_nan=False), NUMBER]
Positive = Annotated[int, Field(ge=1, le=MAX_STEP), NUMBER]
Version = Annotated[Literal[1], NUMBER]


MOST_FIELDS = 100


class Body(BaseModel):
    """Base of every request body: no unknown field, no NaN.

    Too many fields are refused before each of them is looked at and complained of: 600,000 unknown
    ones took 5 s of processor time.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and len(raw) > MOST_FIELDS:
            raise ValueError(f"an object of {len(raw)} fields; there can be {MOST_FIELDS}")
        return raw


class Wire(Body):
    """Base of every message: a body that is immutable."""

    model_config = ConfigDict(frozen=True)


class RewardSpec(Wire):
    """Range of one reward; `graded` says that it takes more values than its two ends."""

    low: Finite = 0.0
    high: Finite = 1.0
    graded: StrictBool = False


class Policy(Wire):
    """What the monitor may do by itself.

    `action`: `stop` keeps and stops on a confirmed transition, `propose` waits for a person,
    `watch` keeps the checkpoint but never stops. `evaluate`: which checkpoints to score at the end.
    """

    action: Literal["stop", "propose", "watch"] = "stop"
    preset: Name = "default"
    evaluate: Literal["candidates", "all", "none"] = "candidates"


class RunMetadata(Wire):
    """What the detector and the cost figures want to know about a run; unknown is None and said so.

    `recipe` says whether a recipe lies in the run's folder, so that a worker can train it on, and
    `evaluable` whether that recipe names the problems to score its checkpoints on. `roles` names the
    logged keys of a role where the user told them (`{"format": ["rewards/soft_format_reward_func"]}`);
    a role that is not named is found by rules. `reward_weights` are the weights of the reward functions
    in training, by function name.
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
    recipe: StrictBool | None = None
    evaluable: StrictBool | None = None


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


class PointMessage(Wire):
    """Metric values of one step; `skipped` counts the values that were not finite."""

    kind: Literal["point"] = "point"
    step: Step
    metrics: Annotated[dict[Name, Finite], Field(max_length=MAX_METRICS, json_schema_extra=NAMED)]
    skipped: Annotated[int, Field(ge=0, le=MAX_SKIPPED), NUMBER] = 0
    at: Finite | None = None


class CheckpointMessage(Wire):
    """A complete checkpoint directory, `path` relative to the run's root on the trainer's box."""

    kind: Literal["checkpoint"] = "checkpoint"
    checkpoint_id: Id
    step: Step
    path: Annotated[str, Field(min_length=1, max_length=MAX_PATH_LENGTH), AfterValidator(storable)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Step
    state: Literal["present", "pinned", "missing", "corrupt"] = "present"


class AckMessage(Wire):
    """The trainer's answer to a command."""

    kind: Literal["ack"] = "ack"
    command_id: Id
    state: Literal["delivered", "agreed", "done", "refused"]
    step: Step | None = None
    reason: Text | None = None


class SampleMessage(Wire):
    """One prompt and completion of a step with its rewards."""

    kind: Literal["sample"] = "sample"
    step: Step
    prompt: Text
    completion: Text
    rewards: Annotated[dict[Name, Finite], Field(max_length=64, json_schema_extra=NAMED)] = {}


class StatusMessage(Wire):
    """The attempt's own word on itself, `at` a time of the trainer's clock in seconds."""

    kind: Literal["status"] = "status"
    status: Literal["started", "finished", "failed", "stopped"]
    step: Step | None = None
    reason: Text | None = None
    at: Finite | None = None


class BoundaryMessage(Wire):
    """A marker after which the data differ (new data set, new epoch): the scan starts again here."""

    kind: Literal["boundary"] = "boundary"
    step: Step
    reason: Text = "data boundary"


Message = (
    PointMessage | CheckpointMessage | AckMessage | SampleMessage | StatusMessage | BoundaryMessage
)


class Batch(Wire):
    """`POST /api/v1/runs/{id}/batches`. An empty batch is a heartbeat.

    `messages` stay plain here: each is read on its own by `wire_reading.read_message`, so that one malformed
    message is quarantined and the rest is stored. `dropped` counts what the spool's disk limit cost;
    `oldest_seq` is the first message the trainer still has, so nobody waits for an older one. `sent_at` is
    the sender's clock now, by which the monitor places the messages' own times. `late` says that the process
    that wrote them has ended. `withheld` counts the points of a trainer that was told it was superseded. Fields
    of a newer client are let by, and counted by the monitor.
    """

    model_config = ConfigDict(extra="allow")

    v: Version = 1
    attempt_id: Id
    first_seq: Step
    messages: Annotated[list[Any], Field(max_length=MAX_MESSAGES)] = []
    dropped: Step = 0
    oldest_seq: Step = 0
    sent_at: Finite | None = None
    late: StrictBool = False
    withheld: Step = 0


class Command(Wire):
    """What the trainer is told. `steps` names the checkpoints to pin (`keep`, `stop`)."""

    model_config = ConfigDict(extra="ignore")

    command_id: Id
    kind: Literal["stop", "keep", "save"]
    mode: Literal["graceful", "after_save"] = "graceful"
    steps: list[Step] = []
    reason: Text = ""


class Refusal(Wire):
    """What could not be taken of a batch, by kind: how many parts, and the first one in a sentence."""

    model_config = ConfigDict(extra="ignore")

    kind: Name
    reason: Text
    count: Positive = 1


class Reply(Wire):
    """The monitor's answer: everything below `next_seq` is durable there.

    `refused` says what of the batch was left out; the rest of it was stored. `superseded` says which later
    attempt has taken the run over, while this one is still heard of.
    """

    model_config = ConfigDict(extra="ignore")

    next_seq: Annotated[int, Field(ge=0), NUMBER]
    commands: list[Command] = []
    refused: list[Refusal] | None = None
    superseded: Text | None = None


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a validation error as a sentence with the field and the value."""
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "message"
    value = reprlib.repr(problem.get("input"))  # of any depth and length
    return (
        f"{field[:200]}: {problem['msg']} (got {value if len(value) <= 80 else value[:77] + '...'})"
    )
