"""Whether the database answers, found out within a few seconds even when it hangs."""

import asyncio
import threading
from concurrent.futures import Future

from anyio import move_on_after

from monitor.store.database import Database, DatabaseError

WITHIN_S = 3.0


class Readiness:
    """Asks in a thread of its own, one question at a time: a hanging database holds no other thread."""

    def __init__(self, database: Database, within_s: float = WITHIN_S) -> None:
        self._database = database
        self._within_s = within_s
        self._asked: Future[str | None] | None = None

    async def trouble(self) -> str | None:
        """Return why the database cannot be used, or None."""
        if self._asked is None or self._asked.done():
            self._asked = Future()
            threading.Thread(target=self._ask, args=(self._asked,), daemon=True).start()
        with move_on_after(self._within_s):
            return await asyncio.shield(asyncio.wrap_future(self._asked))
        return f"the database has not answered within {self._within_s:g} s"

    def _ask(self, answer: "Future[str | None]") -> None:
        try:
            self._database.check()
        except DatabaseError as error:
            answer.set_result(str(error))
        else:
            answer.set_result(None)
