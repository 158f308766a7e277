"""One stream for a whole browser: what several pages follow, merged.

A browser opens six HTTP/1.1 connections to a host, so a stream for each tab would leave none for a
button. Parts of the sources are passed on as they are encoded already; before each that is of another
source than the last an `of` event names the run, or none for the runs table. A source is read on when
the viewer has taken its last part: a slow viewer costs one part of each.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from monitor.live.run_stream import PING_EVERY_S

TABLE = ""  # the key of the runs table among the sources; a run's is its id
_Part = tuple[str, bytes | None]


def event(kind: str, **data: Any) -> bytes:
    """Return one event of the stream itself."""
    return format_sse_event(event=kind, data_str=json.dumps(data))


async def merged(
    sources: Mapping[str, AsyncGenerator[bytes]],
    first: bytes,
    now: Callable[[], bytes],
) -> AsyncGenerator[bytes]:
    """Yield `first`, then what the sources yield, until one of them ends: then all is begun anew.

    The sources are listening before `first` is yielded. After a silence of 15 s `now` is yielded, so that
    both sides notice when the other is gone; the sources' own signs of life are left out.
    """
    parts: asyncio.Queue[_Part] = asyncio.Queue(maxsize=1)
    tasks = [
        asyncio.create_task(_pass_on(key, source, parts), name=f"shared-{key or 'table'}")
        for key, source in sources.items()
    ]
    try:
        await asyncio.sleep(0)  # each source has begun once its task has
        yield first
        async with aclosing(_taken(parts, now)) as found:
            async for content in found:
                yield content
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(key: str, source: AsyncGenerator[bytes], parts: asyncio.Queue[_Part]) -> None:
    async with aclosing(source):
        async for content in source:
            if content and content != KEEPALIVE_COMMENT:
                await parts.put((key, content))
    await parts.put((key, None))


async def _taken(parts: asyncio.Queue[_Part], now: Callable[[], bytes]) -> AsyncGenerator[bytes]:
    last: str | None = None
    while True:
        try:
            key, content = await asyncio.wait_for(parts.get(), PING_EVERY_S)
        except TimeoutError:
            yield now()
            continue
        if content is None:
            return
        yield content if key == last else event("of", run=key or None) + content
        last = key
