"""The JSON objects of docs/reference/rest.md, as /openapi.json declares them.

For the document only: views.py makes the objects, and the fuzz tests hold every answer against these.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cusp.wire import Finite, Name, Policy, RunMetadata, Step, Text

Json = dict[str, Any]
Phase = Literal["warming_up", "adapting", "adapted", "turning", "past", "collapsed"]


class Shape(BaseModel):
    """Base of the objects: nothing undeclared."""

    model_config = ConfigDict(extra="forbid")


class Transition(Shape):
    step: int
    low: int
    high: int
    safe_step: int
    seen_at_step: int
    state: Literal["provisional", "confirmed", "revised", "dismissed"]


class CheckpointRef(Shape):
    id: str
    step: int


class Kept(CheckpointRef):
    path: str
    pinned: bool


class Score(Shape):
    task: str
    split: str
    pass_at_1: float
    low: float
    high: float
    n: int


class RunScore(Score):
    alias: str
    step: int


class RunSummary(Shape):
    id: str
    project: str
    name: str
    tags: list[str]
    status: Literal["running", "stopping", "stopped", "finished", "failed", "lost"]
    status_reason: str | None
    phase: Phase
    phase_words: str
    words: str
    step: int | None
    max_steps: int | None
    attempts: int
    created_at: str
    started_at: str
    ended_at: str | None
    elapsed_s: float
    last_contact_at: str
    deleted_at: str | None
    latest: dict[str, float]
    sparklines: dict[str, list[float]]
    transition: Transition | None
    checkpoints: dict[str, CheckpointRef]
    score: RunScore | None
    saved_fraction: float | None
    spent_usd: float | None
    saved_usd: float | None
    quarantined: int
    skipped: int
    dropped: int
    cursor: int


class RunCommand(Shape):
    id: str
    run_id: str
    kind: Literal["stop", "keep", "save"]
    mode: Literal["graceful", "after_save"]
    steps: list[int]
    reason: str
    author: str
    state: Literal["open", "delivered", "agreed", "done", "refused", "expired"]
    state_reason: str | None
    step: int | None
    created_at: str
    delivered_at: str | None
    agreed_at: str | None
    done_at: str | None
    expires_at: str | None


class Decision(Shape):
    id: str
    kind: Literal["keep", "stop", "propose", "evaluate", "promote"]
    step: int | None
    checkpoint_step: int | None
    reason: str
    author: str
    created_at: str


class ChangePoint(Shape):
    id: str
    kind: Literal["onset", "saturation", "length_turn", "destabilisation", "collapse"]
    step: int
    low: int
    high: int
    state: Literal["provisional", "confirmed", "faded", "revised", "dismissed"]
    seen_at_step: int
    words: str
    evidence: dict[str, float]


class Evidence(Shape):
    metric: str
    score: float
    z: float
    armed: bool
    words: str


class SetAside(Shape):
    attempt: int
    seq: int
    reason: str
    body: str
    at: str


class LeftOutMetric(Shape):
    name: str
    reason: str
    count: int
    step: int


class LeftOut(Shape):
    metrics: list[LeftOutMetric]
    more: int
    fields: dict[str, int]
    start: list[str]


class Attempt(Shape):
    number: int
    id: str
    host: str | None
    started_at: str
    last_sign_at: str
    elapsed_s: float
    first_step: int | None
    last_step: int | None
    status: str
    status_reason: str | None
    superseded_at: str | None
    outrun: int


class RoleKey(Shape):
    key: str
    role: str | None
    source: Literal["rule", "told"] | None
    by_rule: str | None


class Roles(Shape):
    told: dict[str, list[str]]
    made_of: dict[str, str]
    keys: list[RoleKey]
    others: list[str]
    unrecognised: list[str]
    words: list[str]


class Run(RunSummary):
    config: Json
    policy: Policy
    metadata: RunMetadata
    roles: Roles
    kept: Kept | None
    no_evaluation: str | None
    no_resume: str | None
    evidence: list[Evidence]
    score_now: float
    watch: float | None
    confirm: float | None
    commands: list[RunCommand]
    decisions: list[Decision]
    change_points: list[ChangePoint]
    left_out: LeftOut
    set_aside: list[SetAside]
    attempt_list: list[Attempt]
    still_training: list[int]


class Superseded(Shape):
    steps: list[int]
    values: list[float]
    attempts: list[int]


class Series(Superseded):
    name: str
    made_of: str | None
    superseded: Superseded


class Verdicts(Shape):
    steps: list[int]
    phases: list[Phase]
    scores: list[float]
    evidence: dict[str, list[float]]
    watch: float | None
    confirm: float | None


class Checkpoint(Shape):
    id: str
    run_id: str
    step: int
    attempt: int
    state: Literal["present", "pinned", "missing", "corrupt"]
    pinned: bool
    path: str
    bytes: int
    sha256: str
    aliases: list[str]
    created_at: str
    checked_at: str | None
    verified: bool
    scores: list[Score]


class RunEvaluation(Shape):
    id: str
    run_id: str
    checkpoint_id: str | None
    roles: list[str]
    step: int
    task: str
    split: Literal["selection", "report"]
    samples_per_problem: int
    pass_at_1: float
    low: float
    high: float
    n_problems: int
    n_samples: int
    errors: int
    mean_tokens: float
    truncated_share: float
    created_at: str


class Reference(Shape):
    role: Text
    step: Step


class ComparedTo(Shape):
    roles: Annotated[list[Name], Field(max_length=16)]
    step: Step


class ComparisonRow(ComparedTo):
    difference: Finite
    low: Finite | None
    high: Finite | None
    verdict: Literal["better", "worse", "not distinguishable"]
    mde: Finite | None


class Comparison(Shape):
    """What a worker concluded; brought in the result of an `evaluate` job and shown as it is."""

    task: Name
    split: Name
    reference: Reference
    rows: Annotated[list[ComparisonRow], Field(max_length=1_000)]
    best: ComparedTo | None
    reason: Text


class JobProgress(Shape):
    done: int
    total: int
    text: str


class Job(Shape):
    id: str
    kind: Literal["train", "evaluate", "export"]
    run_id: str
    state: Literal["queued", "leased", "done", "failed"]
    progress: JobProgress | None
    error: str | None
    attempts: int
    created_at: str
    started_at: str | None
    finished_at: str | None


class Sample(Shape):
    step: int
    prompt: str
    completion: str
    rewards: dict[str, float]


class AuditEntry(Shape):
    at: str
    actor: str
    action: str
    target: str
    detail: Json


class Token(Shape):
    id: str
    name: str
    scopes: list[Literal["ingest", "read", "control", "admin"]]
    project: str | None
    run_id: str | None
    created_by: str
    revoked_by: str | None
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class Announced(Shape):
    id: str
    url: str
    refused: list[str]
    ignored: list[str]


class Runs(Shape):
    runs: list[RunSummary]
    total: int
    first: int
    next: str | None


class AllSeries(Shape):
    series: list[Series]


class ChangePoints(Shape):
    change_points: list[ChangePoint]


class Checkpoints(Shape):
    checkpoints: list[Checkpoint]


class Evaluations(Shape):
    evaluations: list[RunEvaluation]
    comparison: Comparison | None


class Samples(Shape):
    samples: list[Sample]


class Audit(Shape):
    audit: list[AuditEntry]


class Jobs(Shape):
    jobs: list[Job]


class Tokens(Shape):
    tokens: list[Token]


class NewToken(Token):
    token: str


class Promoted(Shape):
    checkpoint_id: str
    run_id: str
    alias: str
    step: int
    previous: str | None
    verified: bool


class Checked(Shape):
    checkpoint_id: str
    run_id: str
    state: Literal["present", "pinned", "missing", "corrupt"]
    verified: bool


class Unverified(Shape):
    id: str
    run_id: str
    step: int
    path: str
    sha256: str
    bytes: int


class AllUnverified(Shape):
    checkpoints: list[Unverified]


class ClaimedJob(Shape):
    id: str
    kind: Literal["train", "evaluate", "export"]
    run_id: str
    payload: Json
    token: int
    attempt: int
    lease_s: float


class Lease(Shape):
    lease_s: float


class Stored(Shape):
    stored: bool


class JobState(Shape):
    state: Literal["done", "failed"]


class Health(Shape):
    status: Literal["ok", "not ready"]
    detail: str | None = None
