"""Messages of the wire protocol, documented in docs/reference/protocol.md.

A `Batch` carries messages up, its `Reply` carries commands down. Every message has a sequence number
assigned by the trainer (`first_seq` + its position), which reveals repeats and gaps. Non-finite numbers do
not exist here: a value that was not measured is left out and counted.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    StrictBool,
)

from cusp.protocol.fields import (
    MAX_MESSAGES,
    MAX_METRICS,
    MAX_PROBLEMS,
    MAX_SKIPPED,
    MAX_VERIFIED,
    NAMED,
    NUMBER,
    Finite,
    Id,
    Name,
    PathText,
    Positive,
    Share,
    Step,
    Text,
    Version,
    Wire,
)
from cusp.protocol.scored import EvaluationMessage


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
    path: PathText
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


Scores = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^\d{1,15}$")],
        Annotated[list[Share | None], Field(max_length=MAX_PROBLEMS)],
    ],
    Field(max_length=MAX_VERIFIED, json_schema_extra=NAMED),
]
"""{step: score of each problem in [0, 1], None where it was not decided}."""


class VerificationMessage(Wire):
    """Held-out scores that a `verify` command asked for, of the weights after `step` and of earlier checkpoints.

    `scores` are by step (as text), `step` itself among them: one number in [0, 1] for each problem, in the same
    order for all, None where it was not decided; those of an earlier checkpoint may end sooner. `completions` counts
    those generated now, not those known from an earlier verification. `by` says who scored: the training itself, or
    a function of the user's.
    """

    kind: Literal["verification"] = "verification"
    command_id: Id
    step: Step
    by: Literal["training", "function"] = "training"
    scores: Scores
    completions: Step = 0
    seconds: Annotated[Finite, Field(ge=0)] = 0.0


Message = (
    PointMessage
    | CheckpointMessage
    | AckMessage
    | SampleMessage
    | StatusMessage
    | BoundaryMessage
    | VerificationMessage
    | EvaluationMessage
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


class VerifyOrder(Wire):
    """How to verify: problems scored by the end of each stage, error of a false `worse`, most completions."""

    model_config = ConfigDict(extra="ignore")

    stages: list[Positive] = []
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    budget: Positive = 1_500


class Command(Wire):
    """What the trainer is told. `steps` names the checkpoints to pin (`keep`, `stop`), to let go (`release`),
    or to pin and score beside the weights of now (`verify`).
    """

    model_config = ConfigDict(extra="ignore")

    command_id: Id
    kind: Literal["stop", "keep", "save", "verify", "release"]
    mode: Literal["graceful", "after_save"] = "graceful"
    steps: list[Step] = []
    reason: Text = ""
    verify: VerifyOrder | None = None


class Refusal(Wire):
    """What could not be taken of a batch, by kind: how many parts, and the first one in a sentence."""

    model_config = ConfigDict(extra="ignore")

    kind: Name
    reason: Text
    count: Positive = 1


class Reply(Wire):
    """The monitor's answer: everything below `next_seq` is durable there.

    `refused` says what of the batch was left out; the rest of it was stored. `superseded` says which later
    attempt has taken the run over, while this one is still heard of. `suspected_since` is the last step that is
    surely from before a suspected transition; None without a suspicion.
    """

    model_config = ConfigDict(extra="ignore")

    next_seq: Annotated[int, Field(ge=0), NUMBER]
    commands: list[Command] = []
    refused: list[Refusal] | None = None
    superseded: Text | None = None
    suspected_since: Step | None = None
