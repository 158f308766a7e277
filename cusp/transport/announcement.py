"""Announcement of a run, reduced step by step until the monitor accepts it.

It is retried until accepted, so one that is refused for its content (a proxy's limit of 1 MiB, an older
monitor's other idea of a field) is sent again with less: a config must not hide a training.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cusp.protocol.fields import MAX_TAGS
from cusp.protocol.reading import read_start
from cusp.protocol.run import RunStart
from cusp.run_config import LEFT_OUT, cut
from cusp.transport.sanitize import sendable_label

Json = dict[str, Any]
_LEAN_BYTES = 16 << 10
_NEEDED = ("v", "run_id", "attempt_id", "project", "name")


def announcement(
    say: Callable[..., None],
    *,
    project: object,
    name: object,
    config: Mapping[str, Any],
    tags: Iterable[object] | None = None,
    **fields: Any,
) -> RunStart:
    """Return the announcement of a run with invalid parts repaired; `say` is called for each kind.

    `config` is plain JSON. ValidationError for an invalid id.
    """
    kept, gone = cut(config)
    if gone:
        say(
            "config",
            "Cusp stores the config without %s, as it is longer than a monitor takes; the run says so",
            ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else ""),
        )
    given = [tags] if isinstance(tags, str) else list(tags or ())
    if len(given) > MAX_TAGS:
        say("tags", "Cusp takes the first %s of %s tags", MAX_TAGS, len(given))
    labels = [sendable_label(tag, "") for tag in given[:MAX_TAGS]]
    raw = {
        "project": sendable_label(project, "default"),
        "name": sendable_label(name, "run"),
        "config": kept,
        "tags": list(dict.fromkeys(label for label in labels if label)),
        **fields,
    }
    found = read_start(raw)
    for part in found.refused:
        say(
            f"start {part.name}", "Cusp announces the run without a wrong part: %.300s", part.reason
        )
    start: RunStart = found.model
    return start


def leaner(start: Mapping[str, Any]) -> Iterator[Json]:
    """Yield ever smaller versions of an announcement, for a monitor that refuses the content."""
    config, gone = cut(start.get("config") or {}, _LEAN_BYTES)
    if gone:
        yield {**start, "config": config}
    bare = {key: start[key] for key in _NEEDED if key in start}
    if policy := start.get("policy"):
        yield {**bare, "policy": policy, "config": {LEFT_OUT: ["everything"]}}
    # The last resort loses the policy, so the monitor may only watch.
    yield {**bare, "policy": {"action": "watch"}, "config": {LEFT_OUT: ["everything"]}}
