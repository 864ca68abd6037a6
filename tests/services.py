"""A real PostgreSQL and a real Redis on loopback, for as long as a `with` block.

`python -m tests.services COMMAND…` runs a command with both: the suite's second pass.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import redis

from tests.helpers import free_port, wait_for

START_SECONDS = 60.0
STOP_SECONDS = 20.0
UNPRIVILEGED = "postgres"  # PostgreSQL refuses to run as root


class Missing(Exception):
    """The server is not installed on this machine."""


def _program(name: str) -> str:
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(packaged[-1]) if packaged else None)
    if found is None:
        raise Missing(f"{name} is not installed; 'make test' says how to install it.")
    return found


@contextlib.contextmanager
def _running(command: Sequence[str], folder: Path, ready: Callable[[], bool], user: str | None) -> Iterator[None]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=user)
    try:
        wait_for(lambda: process.poll() is not None or ready(), START_SECONDS, f"{command[0]} being ready")
        assert process.poll() is None, (folder / "server.log").read_text()
        yield
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown; Redis's own shutdown
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _folder(user: str | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fmlx-service-"))
    try:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of its own; gives the DATABASE_URL of its database `fmlx`.

    Raises:
        Missing: PostgreSQL is not installed.
    """
    initdb, postgres, port = _program("initdb"), _program("postgres"), free_port()
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    with _folder(user) as folder:
        made = [
            initdb,
            "--pgdata",
            "data",
            "--username",
            "fmlx",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--no-locale",
        ]
        subprocess.run([*made, "--no-sync"], cwd=folder, user=user, check=True, capture_output=True)
        options = ["-h", "127.0.0.1", "-p", str(port), "-c", "unix_socket_directories=", "-c", "fsync=off"]
        server = f"postgres://fmlx@127.0.0.1:{port}"
        with _running([postgres, "-D", "data", *options], folder, lambda: _accepts(f"{server}/postgres"), user):
            execute(f"{server}/postgres", "CREATE DATABASE fmlx")
            yield f"{server}/fmlx"


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A Redis of its own that keeps nothing; gives its REDIS_URL.

    Raises:
        Missing: Redis is not installed.
    """
    program, port = _program("redis-server"), free_port()
    with _folder() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with _running(command, folder, lambda: _pings(port), None):
            yield f"redis://127.0.0.1:{port}/0"


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _accepts(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _pings(port: int) -> bool:
    with redis.Redis(port=port) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def main() -> int:
    with postgres_server() as database, redis_server() as channel:
        chosen = {"FMLX_TEST_DATABASE_URL": database, "FMLX_TEST_REDIS_URL": channel}
        return subprocess.run(sys.argv[1:], env={**os.environ, **chosen}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
