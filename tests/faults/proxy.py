"""A network between processes that can be cut, slowed down, and left half-open."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, no time: closing sends RST


class Network:
    """The thread that carries the bytes of all its ways. A context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._ways: list[Way] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def way_to(self, port: int) -> Way:
        """Open a way to a port of this machine."""
        way = Way(self, port)
        self.run(way.open())
        self._ways.append(way)
        return way

    def run(self, step: Coroutine[Any, Any, None]) -> None:
        """Run ``step`` in the thread, to its end."""
        asyncio.run_coroutine_threadsafe(step, self._loop).result()

    async def _end(self) -> None:
        for way in self._ways:
            way.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Way:
    """A port of its own that leads to another; every connection through it shares its fate."""

    def __init__(self, network: Network, target: int) -> None:
        self._network = network
        self._target = target
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._delay = 0.0
        self._cut = False
        self._silent = False
        self._heard = asyncio.Event()
        self._server: asyncio.Server
        self.port = 0

    async def open(self) -> None:
        """Listen; called by the network."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._heard.set()

    def close(self) -> None:
        """Listen no more; called by the network."""
        self._server.close()

    def cut(self) -> None:
        """Reset all connections, and each new one, until :meth:`heal`."""
        self._network.run(self._do_cut())

    def slow_down(self, seconds: float) -> None:
        """Let everything arrive so much later, in each direction, until :meth:`heal`."""
        self._delay = seconds

    def fall_silent(self) -> None:
        """Leave all connections half-open, and each new one: nothing arrives any more, and nobody is told.

        The far ends are closed, as a server does that has given up on its client. :meth:`heal` resets the near ends,
        as a router does that has lost its table.
        """
        self._network.run(self._do_fall_silent())

    def heal(self) -> None:
        """Be a good way again."""
        self._network.run(self._do_heal())

    async def _do_cut(self) -> None:
        self._cut = True
        for near, far in list(self._pairs):
            _reset(near)
            _reset(far)

    async def _do_fall_silent(self) -> None:
        self._silent = True
        self._heard.clear()
        for _, far in list(self._pairs):
            _reset(far)

    async def _do_heal(self) -> None:
        self._cut, self._delay = False, 0.0
        if self._silent:
            for near, _ in list(self._pairs):
                _reset(near)
        self._silent = False
        self._heard.set()

    async def _connected(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._cut:
            _reset(near)
            return
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(near)
            return
        pair = (near, far)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._carry(reader, far), self._carry(far_reader, near))
        finally:
            self._pairs.discard(pair)
            near.close()
            far.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._heard.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()
        await self._heard.wait()
        with suppress(OSError, RuntimeError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
