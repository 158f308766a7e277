"""Wire protocol between trainer and monitor, documented in docs/reference/protocol.md."""
