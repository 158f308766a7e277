"""What the code imports comes with what pyproject.toml names, so that a fresh environment has it too."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"cusp", "monitor", "trainer", "webui", "tests", "benchmarks", "migrations"}
# What each package is installed with; an import of what another extra brings is inside a function.
EXTRAS = {
    "cusp": [],
    "cusp/statistics": ["monitor"],
    "cusp/trl": ["trainer"],
    "monitor": ["monitor"],
    "webui": ["monitor"],
    "migrations": ["monitor"],
    "trainer": ["trainer"],
    "tests": ["monitor", "trainer", "dev"],
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extras: list[str]) -> set[str]:
    """Return the distributions that an installation with these extras brings, those that they need in turn included."""
    named = [
        *PROJECT["dependencies"],
        *(one for extra in extras for one in PROJECT["optional-dependencies"][extra]),
    ]
    left = [Requirement(one) for one in named]
    found: set[tuple[str, frozenset[str]]] = set()
    while left:
        one = left.pop()
        key = (canonical(one.name), frozenset(one.extras))
        if key in found:
            continue
        found.add(key)
        try:
            needed = [Requirement(line) for line in requires(one.name) or []]
        except PackageNotFoundError:  # not for this platform
            continue
        settings = [{"extra": extra} for extra in ("", *one.extras)]
        left += [
            need
            for need in needed
            if need.marker is None or any(map(need.marker.evaluate, settings))
        ]
    return {name for name, _ in found}


def imported(file: Path) -> Iterator[str]:
    """Yield the package of each import that runs when the module is imported."""
    left: list[ast.AST] = [ast.parse(file.read_text())]
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_for_types(node):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
        left += ast.iter_child_nodes(node)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def home(name: str) -> str:
    """Return the innermost folder of EXTRAS that a file is in."""
    return max((folder for folder in EXTRAS if name.startswith(f"{folder}/")), key=len)


@pytest.mark.parametrize("package", EXTRAS)
def test_what_a_package_imports_comes_with_its_extras(package: str) -> None:
    brought = declared(EXTRAS[package])
    distributions = packages_distributions()
    listed = subprocess.run(
        ["git", "ls-files", f"{package}/*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lacking = {
        f"{name} imports {module}"
        for name in listed.stdout.splitlines()
        if home(name) == package
        and not name.startswith("tests/vllm/")  # an environment of its own: .ci/vllm
        for module in imported(ROOT / name)
        if module not in sys.stdlib_module_names and module not in OURS
        if brought.isdisjoint(map(canonical, distributions.get(module, [])))
    }
    assert sorted(lacking) == []
