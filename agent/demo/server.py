"""PHP's own web server for one site, tied to the life of this process."""

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.demo.blueprint import PHP_FOLDER
from agent.demo.errors import ServerFailed
from agent.demo.scripts import bare_environment

START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 2.0

# Below the range from which Linux takes ports for outgoing connections, so that none takes ours in between.
_PORTS = range(20000, 32000)


class Server:
    """A web server on a loopback port; started when made."""

    def __init__(
        self, php: Sequence[str], *, port: int, public: Path, log: Path, variables: Mapping[str, str], workers: int
    ) -> None:
        """Serve the folder `public` by the rules of router.php, and return when it answers.

        php         the command with its settings
        variables   further environment variables, for router.php

        Raises ServerFailed with the end of the log.
        """
        self._address = f"127.0.0.1:{port}"
        self._log = log
        self._identity = secrets.token_hex(8)
        command = [*php, "-S", self._address, "-t", str(public), str(PHP_FOLDER / "router.php")]
        with log.open("ab") as opened:
            self._process = subprocess.Popen(
                ["sh", str(PHP_FOLDER / "tethered.sh"), *command],
                env=bare_environment(
                    PHP_CLI_SERVER_WORKERS=str(workers), WPSA_SERVER_ID=self._identity, **variables
                ),
                stdin=subprocess.PIPE,  # the tether: it closes when we are gone, however we went
                stdout=opened,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # one group, so that stop() reaches the workers as well
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    @property
    def process_group(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """End the server and its workers."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_SECONDS)
        # A request that hangs is not waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if _answers(f"http://{self._address}/.throwaway-ready", self._identity):
                return
            time.sleep(0.02)
        said = self._log.read_text("utf-8", "replace").strip()[-400:]
        raise ServerFailed(
            f"the web server on {self._address} did not start: {said}", hint="Free the port, or name another one"
        )


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                tried.bind(("127.0.0.1", port))
                return port
    raise ServerFailed("no free port was found on 127.0.0.1", hint="Name one with `port`")


def _answers(address: str, expected: str) -> bool:
    """Whether our own server answers there, not a stranger that was faster to take the port."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=2) as answer:
            return bool(answer.read() == expected.encode())
    except OSError:
        return False
