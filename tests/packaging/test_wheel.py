"""What a stranger does with the wheel: a plain `pip install cusp-rl`, every command, then the monitor."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import httpx
import pytest

from cusp.cli.support.requirements import IMPORTED

ROOT = Path(__file__).parents[2]
PACKAGES = ("cusp", "monitor", "trainer", "webui", "migrations")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in a folder `cusp`, as git calls it."""
    source = tmp_path_factory.mktemp("work") / "cusp"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name)
    return source


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from them."""
    source, out = clone, tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(out), str(source)])
    (found,) = out.glob("cusp_rl-*.whl")
    return found


def run(command: list[str], cwd: Path | None = None, **more: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def without_extras(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `cusp` command of a fresh environment with the wheel and what it depends on, no extra."""
    place = tmp_path_factory.mktemp("plain")
    run([sys.executable, "-m", "venv", "--without-pip", str(place)])
    python = str(place / "bin" / "python")
    run([sys.executable, "-m", "pip", "--python", python, "install", "-q", str(wheel)])
    return place / "bin" / "cusp"


def test_the_wheel_holds_recipes_and_the_weights_they_start_from(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        sizes = {each.filename: each.file_size for each in held.infolist()}
    shipped = [ROOT / "trainer" / "tiny" / "base.safetensors"]
    shipped += [
        *(ROOT / "trainer").glob("recipes/**/*.yaml"),
        *(ROOT / "trainer").glob("accelerate/*"),
    ]
    assert len(shipped) > 30
    for file in shipped:
        assert sizes[file.relative_to(ROOT).as_posix()] == file.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["serve", "--port", "0"], "monitor"),
        (["db", "upgrade"], "monitor"),
        (["replay", "log.csv"], "monitor"),
        (["train", "tiny"], "trainer"),
        (["recipes"], "trainer"),
        (["worker"], "trainer"),
        (["demo", "--exit"], "monitor,trainer"),
        (["demo", "--monitor", "http://127.0.0.1:9"], "trainer"),
    ],
)
def test_a_command_without_its_packages_says_what_to_install(
    without_extras: Path, wheel: Path, tmp_path: Path, arguments: list[str], extras: str
) -> None:
    done = subprocess.run(
        [str(without_extras), *arguments],
        cwd=tmp_path,
        env={**os.environ, "CUSP_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"pip install 'cusp-rl[{extras}] @ {wheel.as_uri()}'" in done.stderr
    assert done.stdout == ""


def test_a_training_is_logged_without_any_extra(without_extras: Path, tmp_path: Path) -> None:
    script = (
        "import cusp; run = cusp.init(name='plain'); run.log({'reward': 1.0}, step=1); run.finish()"
    )
    run(
        [str(without_extras.with_name("python")), "-c", script],
        cwd=tmp_path,
        CUSP_MODE="offline",
        CUSP_DIR=str(tmp_path / "data"),
    )
    (spool,) = tmp_path.glob("data/runs/*/attempts/*/spool-*.jsonl")
    assert '"reward":1.0' in spool.read_text()


def test_the_monitor_of_the_wheel_serves_beside_files_of_its_packages_names(
    wheel: Path, tmp_path: Path
) -> None:
    place, work = tmp_path / "environment", tmp_path / "work"
    work.mkdir()
    for name in (*PACKAGES, "alembic", "fastapi"):
        (work / f"{name}.py").write_text("raise SystemExit('a file of the user was imported')\n")
    run([sys.executable, "-m", "venv", "--without-pip", str(place)])
    python = str(place / "bin" / "python")
    run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", str(wheel)])
    (site,) = place.glob("lib/python*/site-packages")
    beside = [path for path in sys.path if path.endswith("site-packages")]
    (site / "beside.pth").write_text("\n".join(beside))  # the dependencies of this environment
    monitor = subprocess.Popen(
        [str(place / "bin" / "cusp"), "serve", "--port", "0", "--dir", str(tmp_path / "data")],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert monitor.stdout is not None
        said = monitor.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found is not None, said + monitor.stdout.read()
        assert httpx.get(f"{found[0]}/readyz").is_success
        assert "Cusp" in httpx.get(found[0], follow_redirects=True).text
    finally:
        monitor.kill()
        monitor.communicate()


def test_every_package_of_an_extra_is_looked_for() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    optional = {"httptools", "uvloop"}  # uvicorn does without
    for extra, imported in IMPORTED.items():
        named = {re.split(r"[\[>=<;]", one)[0].replace("-", "_") for one in extras[extra]}
        assert named - optional == set(imported), extra


def test_a_script_beside_the_clone_imports_the_package_and_not_the_folder(
    clone: Path, tmp_path: Path
) -> None:
    """`git clone` makes a folder `cusp`, and `make setup` an editable install; the script lies beside that folder."""
    place, script = tmp_path / "environment", clone.parent / "my_training.py"
    script.write_text("import cusp\ncusp.init(name='beside').finish()\nprint(cusp.__file__)\n")
    run([sys.executable, "-m", "venv", "--without-pip", str(place)])
    python = str(place / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    run([*pip, "--editable", str(clone)])
    (site,) = place.glob("lib/python*/site-packages")
    beside = [path for path in sys.path if path.endswith("site-packages")]
    (site / "zz_beside.pth").write_text("\n".join(beside))  # the dependencies of this environment
    for folder, argument in ((clone.parent, script.name), (tmp_path, str(script))):
        run([python, argument], cwd=folder, CUSP_MODE="offline", CUSP_DIR=str(tmp_path / "data"))
