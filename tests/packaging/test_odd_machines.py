"""A real script logs a run on machines that are no usual Linux account."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import cusp
run = cusp.init(name="odd", tags=["a", 3])
run.log({"reward": 1.0}, step=1)
run.checkpoint(FOLDER, step=1)
run.finish(drain_s=1)
print(run.home if run._spool else "nothing recorded")
"""
UNKNOWN_USER = """
import os, pwd
os.environ.pop("HOME", None)
def unknown(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
"""
NO_FCNTL = "import sys; sys.modules['fcntl'] = None\n"
HOST = "import socket; socket.gethostname = lambda: {name!r}\n"
NO_HOST = "import socket\ndef none(): raise OSError('no name')\nsocket.gethostname = none\n"
ASCII: dict[str, Any] = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CLOSED = "import os, sys; os.close(1); os.close(2); sys.stdout = sys.stderr = None\n"


def logged(
    folder: Path, first: str = "", cwd: Path | None = None, checkpoint: object = None, **more: Any
) -> tuple[str, str]:
    """Run the script after these lines in an environment of its own; return what it said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CUSP_")}
    environment |= {"CUSP_MODE": "offline", "HOME": str(folder / "home"), "TMPDIR": str(folder)}
    (folder / "home").mkdir(exist_ok=True)
    script = first + SCRIPT.replace("FOLDER", repr(checkpoint or str(folder / "c")))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={k: v for k, v in {**environment, **more}.items() if v != "-"},
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.strip(), done.stderr


def points(home: str) -> list[Mapping[str, object]]:
    """Return the points that lie in a run's folder."""
    (spool,) = Path(home).glob("attempts/*/spool-*.jsonl")
    messages = [json.loads(line) for line in spool.read_text().splitlines()]
    return [one["metrics"] for one in messages if one["kind"] == "point"]


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (NO_FCNTL, {}),
        (UNKNOWN_USER, {}),
        ("", {"HOME": "-"}),
        ("", {"HOME": ""}),
        ("", {"HOME": "relative"}),
        ("", {"HOME": "/proc/none"}),
        ("", {"HOME": "/dev/null"}),
        ("", {"HOME": "/root/caf\udce9", "CUSP_DIR": "-"}),
        (HOST.format(name="caf\udce9\n"), {}),
        (HOST.format(name=""), {}),
        (HOST.format(name="h" * 300), {}),
        (NO_HOST, {}),
        ("", ASCII),
        ("", {"TMPDIR": "/nonexistent"}),
        ("", {"TMPDIR": "/proc/none", "HOME": "/proc/none"}),
    ],
)
def test_a_run_is_recorded(tmp_path: Path, first: str, more: dict[str, Any]) -> None:
    home, _ = logged(tmp_path, first, **more)
    assert points(home) == [{"reward": 1.0}]


def test_a_run_in_a_folder_that_is_gone_is_recorded(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    home, _ = logged(tmp_path, "import os; os.rmdir(os.getcwd())\n", gone, checkpoint="relative")
    assert points(home) == [{"reward": 1.0}]


def test_closed_output_costs_nothing(tmp_path: Path) -> None:
    logged(tmp_path, CLOSED)
    (home,) = (tmp_path / "home").glob(".local/share/cusp/runs/*")
    assert points(str(home)) == [{"reward": 1.0}]


def test_checkpoints_in_a_folder_whose_name_is_no_text_are_found_again(tmp_path: Path) -> None:
    from cusp.checkpoints import paths

    place = tmp_path / "caf\udce9"
    saved = place / "checkpoint-1"
    saved.mkdir(parents=True)
    (saved / "adapter_model.safetensors").write_text("weights")
    plain: dict[str, Any] = {}
    for more in (plain, ASCII):
        home, _ = logged(tmp_path, checkpoint=str(saved), **more)
        assert paths.run_root(Path(home).parents[1], Path(home).name) == place


def test_where_nothing_can_be_written_the_training_goes_on(tmp_path: Path) -> None:
    nowhere = (
        "import tempfile\ndef none():\n    raise FileNotFoundError('no usable temporary folder')\n"
    )
    nowhere += "tempfile.gettempdir = none\n"
    said, errors = logged(tmp_path, nowhere, HOME="/proc/none")
    assert said == "nothing recorded"
    assert errors.count("Cusp records nothing") == 1
    assert "CUSP_DIR" in errors


def test_the_folder_of_earlier_versions_is_kept(tmp_path: Path) -> None:
    old = tmp_path / "home" / ".cusp"
    old.mkdir(parents=True)
    home, _ = logged(tmp_path)
    assert Path(home).is_relative_to(old)


def test_the_folder_for_want_of_a_home_is_this_users_alone(tmp_path: Path) -> None:
    home, said = logged(tmp_path, HOME="/proc/none")
    folder = Path(home).parents[1]
    assert folder == tmp_path / f"cusp-{os.getuid()}"
    assert folder.stat().st_mode & 0o077 == 0
    assert str(folder) in said


def test_importing_and_asking_for_help_write_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    for arguments in (["-c", "import cusp"], ["-m", "cusp", "--help"], ["-m", "cusp", "--version"]):
        subprocess.run(
            [sys.executable, *arguments], env=environment, check=True, capture_output=True
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", ["~nobody-by-this-name/x", "/proc/none", "/dev/null/x"])
def test_a_folder_that_was_named_and_cannot_be_used_is_a_sentence(
    tmp_path: Path, named: str
) -> None:
    for arguments in (["serve", "--port", "0"], ["train", "tiny"]):
        done = subprocess.run(
            [sys.executable, "-m", "cusp", *arguments],
            env={**os.environ, "CUSP_DIR": named},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert named.partition("/x")[0] in done.stderr
        assert "CUSP_DIR" in done.stderr
