"""The contract between a trainer and the monitor, as documented in docs/reference/protocol.md."""
