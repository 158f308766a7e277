"""Where `cusp serve` listens: CUSP_PORT and CUSP_HOST, and what it says of a file that is no database."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cusp.cli.demo.processes import free_port


def serve(
    folder: Path, *arguments: str, subcommand: tuple[str, ...] = ("serve",), **more: Any
) -> "subprocess.Popen[str]":
    """Start it."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "cusp", *subcommand, *arguments, "--dir", str(folder)],
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def address(monitor: "subprocess.Popen[str]") -> str:
    """Return what it says it answers at; a request to it is answered."""
    assert monitor.stdout is not None
    said = monitor.stdout.readline()
    found = re.search(r"http://\S+", said)
    assert found is not None, said
    return found[0]


def test_port_and_host_are_those_of_the_environment(tmp_path: Path) -> None:
    port = free_port(0)
    monitor = serve(tmp_path, CUSP_PORT=str(port), CUSP_HOST="localhost")
    try:
        assert address(monitor) == f"http://localhost:{port}"
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    finally:
        monitor.kill()
        monitor.communicate()


def test_an_option_wins_over_the_environment(tmp_path: Path) -> None:
    more: dict[str, Any] = {"CUSP_PORT": "tcp://10.0.0.7:8787", "CUSP_HOST": "203.0.113.9"}
    monitor = serve(tmp_path, "--port", "0", "--host", "127.0.0.1", **more)
    try:
        assert httpx.get(f"{address(monitor)}/readyz").is_success
    finally:
        monitor.kill()
        monitor.communicate()


def test_the_address_that_browsers_open_is_said_where_it_is_another(tmp_path: Path) -> None:
    monitor = serve(tmp_path, "--port", "0", CUSP_PUBLIC_URL="https://cusp.example/")
    try:
        assert monitor.stdout is not None
        assert "at https://cusp.example (" in monitor.stdout.readline()
    finally:
        monitor.kill()
        monitor.communicate()


def test_beyond_loopback_by_the_environment_it_asks_for_a_token_too(tmp_path: Path) -> None:
    monitor = serve(tmp_path, "--port", "0", CUSP_HOST="0.0.0.0", CUSP_TOKEN="")
    said, _ = monitor.communicate(timeout=30)
    assert monitor.returncode == 2
    assert "CUSP_TOKEN" in said


def _text(file: Path) -> None:
    file.write_text("somebody's notes\n" * 300)


def _cut(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    connection.close()
    os.truncate(file, 5000)


def _another(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (mine)")
    connection.close()


def _folder(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize("make", [_text, _cut, _another, _folder])
@pytest.mark.parametrize("subcommand", [("serve",), ("db", "upgrade")])
def test_a_file_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], None], subcommand: tuple[str, ...]
) -> None:
    file = tmp_path / "cusp.db"
    make(file)
    options = ("--port", "0") if subcommand == ("serve",) else ()
    monitor = serve(tmp_path, *options, subcommand=subcommand)
    said, _ = monitor.communicate(timeout=30)
    assert monitor.returncode == 2, said
    assert said.count("\n") == 1, said
    assert str(tmp_path) in said
