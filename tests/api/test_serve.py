"""How the monitor listens."""

import asyncio
import socket

from monitor.serve import bound


def test_an_answer_does_not_wait_for_a_delayed_acknowledgement() -> None:
    """40 ms for every request, measured, where TCP_NODELAY is missing on accepted connections."""
    listener = bound("127.0.0.1", 0)
    found: list[int] = []

    async def serve_one() -> None:
        done = asyncio.Event()

        def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            done.set()

        async with await asyncio.start_server(accepted, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            await done.wait()
            writer.close()
            await writer.wait_closed()

    asyncio.run(serve_one())
    assert found[0] != 0
