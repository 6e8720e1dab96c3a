"""A proxy that loses responses."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self


class LossyProxy:
    """Passes connections on to a port of this machine. The first ``losses`` of them break once the response begins."""

    def __init__(self, port: int, *, losses: int) -> None:
        self.lost = 0
        self._port = port
        self._losses = losses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would leave the thread in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for open_socket in list(self._open):
            _shut(open_socket)
        for thread in self._threads[1:]:
            thread.join()
        for open_socket in self._open:
            open_socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._open |= {client, server}
                for work in (self._ask, self._respond):
                    self._threads.append(threading.Thread(target=work, args=(client, server)))
                    self._threads[-1].start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        _pump(client, server)

    def _respond(self, client: socket.socket, server: socket.socket) -> None:
        if self.lost < self._losses:
            self.lost += 1
            with suppress(OSError):
                server.recv(1)  # it has acted by now
            _shut(client)
            _shut(server)
        else:
            _pump(server, client)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _shut(source)
    _shut(target)


def _shut(of: socket.socket) -> None:
    with suppress(OSError):
        of.shutdown(socket.SHUT_RDWR)
