"""Running the monitor under uvicorn, and ending it at once when asked to."""

import errno
import socket
from types import FrameType

import uvicorn

from monitor.app import create_app
from monitor.config import ConfigError, MonitorConfig
from monitor.service import Service


class PortInUse(ConfigError):
    """Another process listens there."""


class Server(uvicorn.Server):
    """uvicorn waits for open streams when it is told to end; this ends them first."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the event streams, then the server."""
        self._service.hub.close()
        super().handle_exit(sig, frame)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, or raise PortInUse with the way out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} on {host} is in use by another process;"
                " stop that one, or choose another with --port (0: any free one)"
            ) from None
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def serve(config: MonitorConfig, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    app = create_app(config)
    server = Server(
        uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on", ws="none"),
        app.state.service,
    )
    server.run(sockets=[listener])
