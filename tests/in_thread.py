"""An HTTP server of a few lines, in a thread of its own from the `with` to the end of the block."""

import threading
from http.server import ThreadingHTTPServer
from typing import Self


class ServedInThread:
    """Base of the small servers of the tests; `_serve` takes the server that it runs."""

    def _serve(self, server: ThreadingHTTPServer, poll_s: float = 0.02) -> None:
        server.daemon_threads = True
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(poll_s,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
