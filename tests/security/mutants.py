"""Removes every guard in turn and makes sure that a test notices: `make mutants` (20 minutes).

    python -m tests.security.mutants [--only WORD] [--at-once] [--json FILE]

Works on a copy of the tree, so that nothing here is touched. First the named tests must pass on the copy as
it is; then each mutant of `guard_table.py` must fail them. Exit status 1 when one survived.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.security.guard_table import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
KILLED, SURVIVED, BROKEN = "killed", "SURVIVED", "BROKEN"
LIMIT_S = 300
_PYTEST = ("-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--timeout", "120")


def copied(into: Path) -> Path:
    """Copy the files that git knows, or would take, as they are now; return the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("benchmarks/zoo/"):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def tested(tree: Path, tests: Sequence[str], limit_s: float = LIMIT_S) -> tuple[int, str]:
    """Return pytest's exit status on the copy and its last line."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("CUSP_")}
    # No bytecode: two versions of a file within one second would look alike.
    environment = {**ours, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *_PYTEST, *tests],
            cwd=tree,
            env=environment | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no end within {limit_s} s"
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, (failed or lines or [done.stderr.strip()[-200:]])[-1]


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
        status, line = tested(tree, mutant.tests)
    finally:
        file.write_text(sane)
    return {0: SURVIVED, 1: KILLED}.get(status, BROKEN), line


def main() -> int:
    """Judge every mutant; return 1 if one was not killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.security.mutants")
    parser.add_argument("--only", default="", metavar="WORD", help="guards with this word")
    parser.add_argument("--at-once", action="store_true", help="the tests are known to pass")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    chosen = [m for m in MUTANTS if given.only in m.guard or given.only in m.file]
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
