"""What a person can mend is one sentence; a fault of ours keeps its traceback."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEFECTS = {
    "a ValueError": "raise ValueError('not for people')",
    "a RuntimeError": "raise RuntimeError('not for people')",
    "an OSError": "raise PermissionError(13, 'not for people')",
    "a KeyError": "raise KeyError('not for people')",
}


def cusp(
    *arguments: str, broken: str = "", folder: Path | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command; `broken` is the body of a function that takes the place of `runs.find`."""
    if broken and folder is not None:
        (folder / "sitecustomize.py").write_text(
            "import cusp.client\n"
            f"def broken(self, *arguments, **more):\n    {broken}\n"
            "cusp.client.Client.get = broken\n"
        )
        more["PYTHONPATH"] = str(folder)
    return subprocess.run(
        [sys.executable, "-m", "cusp", *arguments],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("body", DEFECTS.values(), ids=DEFECTS.keys())
def test_a_fault_of_ours_keeps_its_traceback(tmp_path: Path, body: str) -> None:
    done = cusp("runs", broken=body, folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "not for people" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", [("--debug", "runs"), ("runs", "--debug")])
def test_debug_shows_where_a_sentence_comes_from(arguments: tuple[str, ...]) -> None:
    plain, debugged = (
        cusp(*each, CUSP_URL="http://127.0.0.1:9") for each in (("runs",), arguments)
    )
    assert (plain.returncode, debugged.returncode) == (2, 2)
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debugged.stderr
    assert debugged.stderr.endswith(plain.stderr)


@pytest.mark.parametrize(
    ("arguments", "more", "words"),
    [
        (["runs"], {"CUSP_URL": "nonsense"}, ["CUSP_URL", "nonsense"]),
        (["serve", "--host", "no.such.host.invalid", "--port", "0"], {"CUSP_TOKEN": "t" * 20}, ["no.such"]),
        (["serve", "--host", "192.0.2.1", "--port", "0"], {"CUSP_TOKEN": "t" * 20}, ["192.0.2.1"]),
        (["serve"], {"CUSP_PORT": "http"}, ["CUSP_PORT", "'http'"]),
        (["serve"], {"CUSP_PORT": "tcp://10.0.0.7:8787"}, ["CUSP_PORT", "--port 8787"]),
        (["serve", "--port", "0"], {"CUSP_DATABASE_URL": "mysql://x/y"}, ["mysql", "postgresql://"]),
        (["serve", "--port", "0"], {"CUSP_DATABASE_URL": "postgresql://u:p@h:x/y"}, ["database URL"]),
        (["db", "upgrade", "--database", "/proc/none/x.db"], {}, ["/proc/none"]),
        (["db", "upgrade", "--database", "/tmp"], {}, ["/tmp"]),
        (["replay", "/no/such.csv"], {}, ["/no/such.csv"]),
        (["replay", __file__, "--preset", "bold"], {}, ["bold", "default"]),
        (["train", "/no/such.yaml"], {}, ["/no/such.yaml", "tiny"]),
        (["train", "tiny", "--run-id", "x"], {}, ["'x'"]),
        (["train", "tiny", "--processes", "5"], {}, ["48 completions", "5 processes", "--processes"]),
        (["demo", "--exit", "--json", "/proc/none/x"], {}, ["/proc/none/x"]),
    ],
)  # fmt: skip
def test_what_a_person_can_mend_is_one_sentence_with_the_value(
    tmp_path: Path, arguments: list[str], more: dict[str, Any], words: list[str]
) -> None:
    done = cusp(*arguments, **{"CUSP_DIR": str(tmp_path), **more})
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("cusp: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_password_in_a_database_url_is_not_said(tmp_path: Path) -> None:
    for url in ("postgresql://u:hunter2@127.0.0.1:9/y", "postgresql://u:hunter2@h:x/y"):
        done = cusp("serve", "--port", "0", CUSP_DATABASE_URL=url, CUSP_DIR=str(tmp_path))
        assert done.returncode == 2
        assert "hunter2" not in done.stderr


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,format_reward\n" + "".join(f"{n},0.5\n" for n in range(30)))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cusp", "replay", str(log)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    assert "no room is left" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_who_reads_on_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m cusp --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


# Arguments of a function, which only a fault of ours gets wrong, and validators (pydantic makes sentences of them).
_OURS = {
    "cusp/protocol/fields.py",
    "cusp/process/machine.py",
    "cusp/verification/sequential.py",
}


def test_no_plain_error_is_raised_for_people() -> None:
    plain = []
    for file in (path for name in ("cusp", "trainer") for path in (ROOT / name).rglob("*.py")):
        relative = file.relative_to(ROOT).as_posix()
        if relative.startswith("trainer/recipe/"):  # validators of a recipe
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            kind = node.exc.func.id if isinstance(node.exc.func, ast.Name) else ""
            if kind in ("ValueError", "RuntimeError", "OSError") and relative not in _OURS:
                plain.append(f"{relative}:{node.lineno}")
    assert plain == []
