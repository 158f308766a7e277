"""A page whose beginning goes out while the rest is read, so that its scripts are fetched and run meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from anyio import to_thread
from fastapi import Response
from fastapi.responses import HTMLResponse, StreamingResponse

from monitor.api.problem_details import told
from webui import pages

_log = logging.getLogger(__name__)


async def begun_early(read: Callable[[Callable[[], object]], str]) -> Response:
    """Return the page of a run that `read` makes in a thread; it starts with `run_beginning`.

    `read` calls what it is given once it knows that there is such a page. What it raises before is raised here, and
    becomes an answer of its own. What it raises later is logged, and its sentence is the rest of the page: the status
    has gone out.
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
        beginning = pages.run_beginning()
        yield beginning
        try:
            page = await reading
        except Exception as error:  # broad: whatever it is, a page without a word says nothing
            status, title, detail = told(error)
            _log.error("the page of a run broke off: %s", error, exc_info=status == 500)
            page = pages.error_page(status, title, detail, begun=True)
        yield page[len(beginning) :]

    return StreamingResponse(parts(), media_type="text/html")


def _meet(reading: "asyncio.Future[str]") -> None:
    """Look at the error of a reading that nobody waits for any more."""
    if not reading.cancelled():
        reading.exception()
