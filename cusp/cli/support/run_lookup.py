"""Finds a run by id, part of an id, or name; an ambiguous text is an error."""

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from cusp.client import Client, ClientError

MOST_SHOWN = 10
Json = dict[str, Any]


class NoSuchRun(ClientError):
    """No run matches the text; the message names similar ones."""


class AmbiguousRun(ClientError):
    """Several runs match the text; the message lists them."""


def find(client: Client, text: str) -> Json:
    """Return the run with the id (or a prefix or suffix of it) or the name `text`.

    NoSuchRun or AmbiguousRun unless that is exactly one run.
    """
    return _found(client, text, "/runs", "runs", "cusp runs")


def find_deleted(client: Client, text: str) -> Json:
    """Return the deleted run that `text` identifies, as `find` does."""
    return _found(client, text, "/deleted-runs", "deleted_runs", "cusp runs --deleted")


def _found(client: Client, text: str, path: str, key: str, lists_them: str) -> Json:
    if not text.strip():
        raise NoSuchRun(f"an empty text names no run; `{lists_them}` lists them")
    if len(text) > 200 or "\0" in text:
        raise NoSuchRun(f"{text[:40]!r}... is no name of a run; `{lists_them}` lists them")
    answer = client.get(path, ref=text, limit=MOST_SHOWN)
    found = answer[key]
    if exact := [run for run in found if _id(run) == text.upper()]:
        return dict(exact[0])
    if answer["total"] == 1:
        return dict(found[0])
    kind = key.replace("_", " ")
    if not found:
        raise NoSuchRun(_nothing(client, text, path, key, lists_them))
    lines = [f"{text!r} may be any of {answer['total']:,} {kind}; say which by its id:"]
    lines += [_line(run) for run in found]
    if answer["total"] > len(found):
        lines.append(
            f"  and {answer['total'] - len(found):,} more; `{lists_them} --q {text}` lists them"
        )
    raise AmbiguousRun("\n".join(lines))


def _nothing(client: Client, text: str, path: str, key: str, lists_them: str) -> str:
    said = f"no {key.replace('_', ' ').removesuffix('s')} is called {text!r} at {client.url}"
    if path == "/runs":
        gone = client.get("/deleted-runs", ref=text, limit=1)["deleted_runs"]
        if gone:
            said += f"; a deleted one is, `cusp runs restore {_id(gone[0])}` brings it back"
    newest = client.get(path, limit=500)[key]
    near = client.get(path, q=text, limit=5)[key]
    alike = get_close_matches(text.lower(), [run["name"].lower() for run in newest], 3)
    near += [run for run in newest if run["name"].lower() in alike]
    unique = list({_id(run): run for run in near}.values())[:5]
    if not unique:
        return f"{said}; `{lists_them}` lists them"
    return "\n".join([f"{said}; near are:", *map(_line, unique)])


def _line(run: Json) -> str:
    state = run.get("status") or "deleted"
    at = run.get("created_at") or run.get("deleted_at")
    return f"  {_id(run)}  {run['name'][:40]}  project {run['project'][:40]}, {state}, {age(at)}"


def _id(run: Json) -> str:
    return str(run.get("run_id") or run["id"])


def age(at: str | None, now: datetime | None = None) -> str:
    """Return the age of an ISO time in its largest unit.

    >>> age("2026-01-01T00:00:00.000Z", datetime(2026, 1, 3, tzinfo=UTC))
    '2 days ago'
    """
    if at is None:
        return "age unknown"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(at)).total_seconds()
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count:,} {unit}{'s' if count != 1 else ''} ago"
    return "just now"
