"""Removes every guard in turn and makes sure that a test notices: `make mutants` (20 minutes).

    python -m tests.security.mutants [--only WORD] [--at-once] [--start NUMBER] [--json FILE]

Works on a copy of the tree, so that nothing here is touched. First the named tests must pass on the copy as
it is; then each mutant of `guard_table.py` must fail them. Exit status 1 when one survived.
"""

import argparse
import gc
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.security.guard_table import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
KILLED, SURVIVED, BROKEN = "killed", "SURVIVED", "BROKEN"
LIMIT_S = 300
_PYTEST = (
    *("-x", "-q", "--no-header", "-p", "no:cacheprovider", "--timeout", "120"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
# What every test needs and no mutant touches: imported once, here, for all the forks.
_THIRD_PARTY = (
    "alembic.command anyio._backends._asyncio fastapi.testclient fastapi.sse httpx hypothesis jinja2 numpy"
    " plotly prometheus_client psycopg pydantic ruptures schemathesis.pytest.plugin"
    " sqlalchemy.dialects.sqlite typer uvicorn"
)


def copied(into: Path) -> Path:
    """Copy the files that git knows, or would take, as they are now; return the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("benchmarks/zoo/runs/"):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def tested(tree: Path, tests: Sequence[str], limit_s: float) -> tuple[int, str]:
    """Return pytest's exit status on the copy and its last line, from a fork of this process."""
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            _run(tree, tests, said.fileno())
        status = _waited(child, limit_s)
        said.seek(0)
        lines = said.read().strip().splitlines()
    if status is None:
        return 1, f"no end within {limit_s} s"
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return status, (failed or lines or ["nothing was said"])[-1]


def _run(tree: Path, tests: Sequence[str], said: int) -> NoReturn:
    """Be pytest on the copy, and end. Nothing of ours was imported before but this package."""
    os.setsid()
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    for name in [name for name in os.environ if name.startswith("CUSP_")]:
        del os.environ[name]
    sys.path[:] = [str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
    # No bytecode: two versions of a file within one second would look alike.
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    status = 3
    try:
        status = int(pytest.main([*_PYTEST, *tests]))
        sys.stdout.flush()
    finally:
        os._exit(status)


def _waited(child: int, limit_s: float) -> int | None:
    """Return the child's exit status, or None after ending it and its own children at the limit."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def judged(tree: Path, mutant: Mutant) -> tuple[str, str]:
    """Return what became of the mutant, and the line that says so."""
    file = tree / mutant.file
    sane = file.read_text()
    if sane.count(mutant.old) != 1:
        return BROKEN, f"its text stands {sane.count(mutant.old)} times in {mutant.file}"
    changed = sane.replace(mutant.old, mutant.new)
    if file.suffix == ".py":
        compile(changed, mutant.file, "exec")
    file.write_text(changed)
    try:
        status, line = tested(tree, mutant.tests, LIMIT_S)
    finally:
        file.write_text(sane)
    return {0: SURVIVED, 1: KILLED}.get(status, BROKEN), line


def main() -> int:
    """Judge every mutant; return 1 if one was not killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.security.mutants")
    parser.add_argument("--only", default="", metavar="WORD", help="guards with this word")
    parser.add_argument("--at-once", action="store_true", help="the tests are known to pass")
    parser.add_argument(
        "--start", type=int, default=0, help="leave out so many guards of the table"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    for name in _THIRD_PARTY.split():
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is there by now is not looked at again, fork after fork
    chosen = [m for m in MUTANTS[given.start :] if given.only in m.guard or given.only in m.file]
    results = []
    with tempfile.TemporaryDirectory(prefix="cusp-mutants-") as folder:
        tree = copied(Path(folder))
        if not given.at_once:
            tests = sorted({test for mutant in chosen for test in mutant.tests})
            status, line = tested(tree, tests, limit_s=len(tests) * LIMIT_S)
            if status:
                print(f"the tests fail without any mutant: {line}")
                return 1
            print(f"{len(chosen)} guards; their tests pass as they are: {line}", flush=True)
        for mutant in chosen:
            began = time.monotonic()
            became, line = judged(tree, mutant)
            results.append({**mutant._asdict(), "became": became, "line": line})
            took_s = time.monotonic() - began
            print(f"{became:8} {took_s:5.1f} s  {mutant.guard:58.58} {line[:110]}", flush=True)
    alive = [one for one in results if one["became"] != KILLED]
    print(f"{len(results) - len(alive)} of {len(results)} guards are held by a test")
    for one in alive:
        print(f"{one['became']}: {one['guard']} ({one['file']}): {one['line']}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))
    return bool(alive)


if __name__ == "__main__":
    sys.exit(main())
