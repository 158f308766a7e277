"""A page whose beginning goes out while the rest is read, so that its scripts are fetched and run meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable

from anyio import to_thread
from fastapi import Response
from fastapi.responses import HTMLResponse, StreamingResponse


async def begun_early(beginning: str, read: Callable[[Callable[[], object]], str]) -> Response:
    """Return the page that `read` makes in a thread; it starts with `beginning`.

    `read` calls what it is given once it knows that there is such a page. What it raises before is raised here, and
    becomes an answer of its own; what it raises later breaks the page off.
    """
    loop, sure = asyncio.get_running_loop(), asyncio.Event()
    tell = to_thread.run_sync(read, lambda: loop.call_soon_threadsafe(sure.set))
    reading = asyncio.ensure_future(tell)
    reading.add_done_callback(_meet)
    waiting = asyncio.create_task(sure.wait())
    try:
        await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if reading.done():
        return HTMLResponse(reading.result())

    async def parts() -> AsyncIterator[str]:
        yield beginning
        yield (await reading)[len(beginning) :]

    return StreamingResponse(parts(), media_type="text/html")


def _meet(reading: "asyncio.Future[str]") -> None:
    """Look at the error of a reading that nobody waits for any more."""
    if not reading.cancelled():
        reading.exception()
