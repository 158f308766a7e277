"""A TCP relay that can fall silent: what it is given from then on is swallowed, connections stay open."""

import socket
import threading
from contextlib import suppress


class Relay:
    """Listens on `url` and forwards bytes to a port of this machine; it knows no HTTP."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._silent = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.swallowed = 0  # bytes
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        """Swallow everything from now on, in both directions."""
        self._silent.set()

    def speak(self) -> None:
        """Forward again; connections of the silent time are closed, as they lack a part."""
        self._silent.clear()
        self._end_all()

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self._end_all()

    def _end_all(self) -> None:
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._open |= {client, server}
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if self._silent.is_set():
                    self.swallowed += len(data)
                else:
                    target.sendall(data)
        for one in (source, target):
            self._open.discard(one)
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()
