"""A monitor in a thread of this process, on a real port: real HTTP, and a clock that a test may move."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from monitor.app import create_app
from monitor.server import bound, served_by
from monitor.services import Service
from monitor.settings import MonitorConfig


class Served:
    """Where the monitor answers, and its inside."""

    def __init__(self, url: str, service: Service) -> None:
        self.url, self.service = url, service
        self.ahead_s = 0.0
        service.clock = lambda: time.time() + self.ahead_s
        service.ingest._clock = service.clock


@contextmanager
def serving(config: MonitorConfig) -> Iterator[Served]:
    """Serve until the end of the block."""
    app = create_app(config)
    listener = bound("127.0.0.1", 0)
    listener.listen(128)
    server = uvicorn.Server(served_by(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.service)
    finally:
        app.state.service.hub.close()
        server.should_exit = True
        thread.join(20)
        listener.close()
