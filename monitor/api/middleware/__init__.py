"""ASGI middleware, each in a file of its own."""
