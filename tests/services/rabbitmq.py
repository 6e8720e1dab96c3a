"""A private RabbitMQ for tests: own node, directory and loopback port, from the ``rabbitmq-server`` package.

It takes commands (Erlang expressions) on standard input, which answers within milliseconds where ``rabbitmqctl``
boots an Erlang of its own for seconds. When that input ends, because the tests were killed, the node deletes its
directory and halts. Erlang's distribution gets a fixed port on loopback, so no epmd is started either.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tests.support.ports import free_port

#: A RabbitMQ of one's own choice for tests that need no power over it.
GIVEN_URL: Final = os.environ.get("CALLBOARD_TEST_AMQP_URL", "")

_SERVERS = Path("/usr/lib/rabbitmq/lib")
_START_TIMEOUT = 90.0
_COMMAND_TIMEOUT = 60.0
_USER = "tester"
_PERMISSIONS = 'rabbit_auth_backend_internal:set_permissions(<<"{}">>, <<"{}">>, <<".*">>, <<".*">>, <<".*">>, <<"t">>)'

# Reads an expression a line, answers each with one line between marks: standard output carries the boot banner too.
_CONTROL = """
Serve = fun Serve() ->
  case io:get_line("") of
    Line when is_list(Line) ->
      Answer = try
        {ok, Tokens, _} = erl_scan:string(Line),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Expressions, []),
        {ok, Value}
      catch Class:Reason -> {Class, Reason} end,
      io:format("~n<<<~0p>>>~n", [Answer]),
      Serve();
    _ -> file:del_dir_r(os:getenv("HOME")), erlang:halt(0, [{flush, false}])
  end
end, spawn(Serve).
"""


class RabbitmqMissing(Exception):
    """The package rabbitmq-server is not installed."""


class RabbitmqServer:
    """One RabbitMQ node. Its messages and vhosts survive :meth:`stop` and :meth:`kill`, and end with :meth:`close`."""

    def __init__(self) -> None:
        self._script = _server_script()
        self._home = Path(tempfile.mkdtemp(prefix="callboard-rabbitmq-"))
        self._node = f"callboard-{secrets.token_hex(6)}@localhost"
        self._password = secrets.token_urlsafe(16)
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.port, self._distribution_port = free_port(), free_port()
        (self._home / "plugins").write_text("[].\n")
        (self._home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"default_user = {_USER}\ndefault_pass = {self._password}\n"
            "log.console = false\nlog.file.level = warning\ndisk_free_limit.absolute = 1MB\n"
        )

    @property
    def pid(self) -> int:
        """Process id of the node."""
        assert self._process is not None, "RabbitMQ is not running"
        return self._process.pid

    @property
    def url(self) -> str:
        """AMQP URL of the default vhost, whether the node runs or not."""
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """AMQP URL of a vhost."""
        return f"amqp://{_USER}:{self._password}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    @property
    def password(self) -> str:
        """What must not show up in any error text."""
        return self._password

    def start(self) -> None:
        """Start the node and wait until it accepts connections. No effect on a running one."""
        if self._process is not None:
            return
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self._home),  # the Erlang cookie goes there
            "RABBITMQ_ALLOW_INPUT": "1",  # the script then becomes the node, so its pid is ours to signal
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self._home / "no-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
            "RABBITMQ_PID_FILE": str(self._home / "pid"),
        }
        # RabbitMQ starts epmd unless distribution runs already, so that is started from the command line.
        distribution = ["-sname", self._node, "-start_epmd", "false", "-erl_epmd_port", str(self._distribution_port)]
        loopback = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        self._process = subprocess.Popen(
            [str(self._script), "-noshell", *distribution, *loopback, "-eval", " ".join(_CONTROL.split())],
            env=environment,
            cwd=self._home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C at the terminal is for the tests alone
        )
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process, self._answers), name="rabbitmq", daemon=True).start()
        try:
            self.evaluate("rabbit:await_startup()", timeout=_START_TIMEOUT)
        except BaseException:
            self._end()
            raise

    def evaluate(self, expression: str, timeout: float = _COMMAND_TIMEOUT) -> str:
        """Evaluate Erlang expressions in the node and return the last one's value, as Erlang prints it."""
        assert self._process is not None, "RabbitMQ is not running"
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(expression.split()) + ".\n")
        self._process.stdin.flush()
        answer = self._answers.get(timeout=timeout)
        assert answer is not None, f"RabbitMQ ended while evaluating {expression}:\n{self.log()}"
        assert answer.startswith("{ok,"), f"{expression} gave {answer}"
        return answer.removeprefix("{ok,").removesuffix("}")

    def add_vhost(self) -> str:
        """Make a fresh vhost (some 10 ms) and return its name."""
        name = f"test-{secrets.token_hex(6)}"
        self.evaluate(f'rabbit_vhost:add(<<"{name}">>, <<"t">>), {_PERMISSIONS.format(_USER, name)}')
        return name

    def delete_vhost(self, name: str) -> None:
        """Delete a vhost with all its queues; connections to it are closed."""
        self.evaluate(f'rabbit_vhost:delete(<<"{name}">>, <<"t">>)')

    def messages(self, vhost: str, queue: str) -> int:
        """Return how many messages a queue has: those that wait, and those that were delivered but not acknowledged."""
        name = f'rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)'
        return int(
            self.evaluate(
                f"{{ok, Queue}} = rabbit_amqqueue:lookup({name}), "
                "[{messages, Count}] = rabbit_amqqueue:info(Queue, [messages]), Count"
            )
        )

    def purge(self, vhost: str) -> None:
        """Drop all messages that wait in the queues of a vhost."""
        self.evaluate(f'[rabbit_amqqueue:purge(Q) || Q <- rabbit_amqqueue:list(<<"{vhost}">>)]')

    def delete_queues(self, vhost: str) -> None:
        """Delete all queues of a vhost, whoever uses them."""
        self.evaluate(f'[rabbit_amqqueue:delete(Q, false, false, <<"t">>) || Q <- rabbit_amqqueue:list(<<"{vhost}">>)]')

    def close_connections(self) -> None:
        """Close all client connections, as an operator would."""
        self.evaluate('[rabbit_networking:close_connection(C, "test") || C <- rabbit_networking:connections()]')

    def block_publishers(self) -> None:
        """Raise the memory alarm: RabbitMQ stops reading from connections that publish."""
        self.evaluate("vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1})")

    def unblock_publishers(self) -> None:
        """Clear the memory alarm."""
        self.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4)")

    def stop(self) -> None:
        """Shut down in order: connections are told, the queues' state is written."""
        if self._process is not None:
            self.evaluate("rabbit:stop()")
            self._end()

    def kill(self) -> None:
        """End the node at once (SIGKILL), as a crash does. No effect on one that is down."""
        if self._process is not None:
            # RabbitMQ 3.10 notes a new quorum queue in a file that it writes every few minutes; a crash before that
            # leaves the queue without a leader for ever. A new classic queue is in a log that Erlang buffers for two
            # seconds; a crash before that forgets the queue with its messages.
            self.evaluate("[dets:sync(Table) || Table <- dets:all()], ok = mnesia:sync_log()")
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def restart(self) -> None:
        """Stop in order and start again, on the same port with the same data."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Stop answering while connections stay open, as behind a dead network."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after :meth:`suspend`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the node and delete its directory."""
        self._end()
        shutil.rmtree(self._home, ignore_errors=True)

    def log(self) -> str:
        """What the node logged, warnings and worse."""
        return "\n".join(path.read_text(errors="replace") for path in (self._home / "log").glob("*.log"))


def _server_script() -> Path:
    # Debian's /usr/sbin/rabbitmq-server insists on the package's own user; the script behind it runs as anyone.
    scripts = sorted(_SERVERS.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if not scripts:
        raise RabbitmqMissing(f"No RabbitMQ under {_SERVERS}. Install Debian's package rabbitmq-server.")
    return scripts[-1]


def _read(process: subprocess.Popen[str], answers: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            if line.startswith("<<<"):
                answers.put(line.strip().removeprefix("<<<").removesuffix(">>>"))
    answers.put(None)


@contextlib.contextmanager
def private_rabbitmq() -> Iterator[RabbitmqServer]:
    """Yield a running server; it and its data are gone afterwards.

    Raises:
        RabbitmqMissing: the package is not installed.
    """
    server = RabbitmqServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def fresh_vhost(server: RabbitmqServer) -> Iterator[str]:
    """Yield the AMQP URL of an empty vhost, which is deleted afterwards. Starts the server if it is down."""
    server.start()
    vhost = server.add_vhost()
    try:
        yield server.url_of(vhost)
    finally:
        server.start()
        server.delete_vhost(vhost)
