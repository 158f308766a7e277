"""Viewers of live runs: so many open event streams in one process, until standard input ends.

    viewers.py --url URL --out FILE RUN_ID...        one viewer for each id, an id may come often

Writes [[run, [[step, arrived at], ...]], ...], a list for each viewer, and prints a line once all are open.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


async def view(url: str, run: str, seen: list[tuple[int, float]], opened: asyncio.Event) -> None:
    """Follow one run and note when each step came."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 22)
    path = f"/api/v1/runs/{run}/events"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    kind = b""
    while line := await reader.readline():
        if line.startswith(b"event: "):
            kind = line.strip()
        elif line.startswith(b"data: ") and kind == b"event: point":
            seen.append((json.loads(line[6:])["step"], time.time()))
        elif line.startswith(b"retry: "):
            opened.set()
        elif line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
            raise SystemExit(f"{path} answered {line!r}")
    raise SystemExit(f"the stream of {run} ended")


async def view_all(given: argparse.Namespace) -> None:
    """Open all streams and follow them until the input ends."""
    seen: list[list[tuple[int, float]]] = [[] for _ in given.runs]
    opened = [asyncio.Event() for _ in given.runs]
    following = [
        asyncio.create_task(view(given.url, *each))
        for each in zip(given.runs, seen, opened, strict=True)
    ]
    reading = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    all_open = asyncio.gather(*(event.wait() for event in opened))
    opening: list[asyncio.Future[Any]] = [all_open, *following]
    await asyncio.wait(opening, return_when=asyncio.FIRST_COMPLETED)
    print("open", flush=True)
    done, _ = await asyncio.wait([reading, *following], return_when=asyncio.FIRST_COMPLETED)
    for task in following:
        task.cancel()
    if reading not in done:
        raise SystemExit("a stream ended before its time")
    given.out.write_text(json.dumps(list(zip(given.runs, seen, strict=True))))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("runs", nargs="+")
    asyncio.run(view_all(parser.parse_args()))


if __name__ == "__main__":
    main()
