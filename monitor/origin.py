"""Where the request at hand came from, for the audit log."""

from contextvars import ContextVar

# The client's address as uvicorn knows it; set by the guard, carried into the threads that answer.
ADDRESS: ContextVar[str] = ContextVar("address", default="")
