"""Counts what the shape of the source is: modules a folder, length of functions, types, docstrings, lines.

    python -m tests.census [--json]

tests/test_census.py holds the limits below. Names: a module or a public class of one name may stand twice
only where the folder says which is meant (`monitor/store/jobs.py`, `monitor/api/routes/jobs.py`), that is
where at most one of them lies outside of ROLES; what is left over is listed in SAME_NAMES with the reason.
"""

import argparse
import ast
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = ("cusp", "monitor", "trainer", "webui")
MOST_MODULES, MEDIAN_MODULES = 13, 6  # a folder
FUNCTION_LINES = {"median": 6, "p90": 17, "p99": 33, "max": 74}
ROLES = ("routes", "store", "cli", "schemas", "middleware", "actions", "jobs")
SAME_NAMES: Mapping[str, str] = {
    "settings.py": "each package reads its own environment variables",
    "errors.py": "each package has its own base of errors",
    "client.py": "an HTTP client each: of the monitor, of a webhook's receiver",
    "messages.py": "ingest stores the messages that the protocol defines",
    "metrics.py": "the names that trainers log, and those of them that the detector watches",
    "pages.py": "the routes of the pages, and the pages",
    "run.py": "the run of a training, and its announcement in the protocol",
}
LOOSE = {"Any", "Json", "Record", "Records"}  # types that say nothing of what is in them
QUESTION = re.compile(r"(What|How|Who|Where|When|Whoever)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """One source file; `path` is relative to the repository."""

    path: PurePosixPath
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text)

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.path.parts[0]

    @property
    def is_counted(self) -> bool:
        """Whether it is a module by itself: `__init__.py` only makes a folder a package."""
        return self.path.name != "__init__.py"

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def public(self) -> Iterator[Definition]:
        """Yield the public functions and classes, and the public methods of public classes."""
        for node in _public(self.tree.body):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


def modules(root: Path = ROOT, packages: Sequence[str] = PACKAGES) -> list[Module]:
    """Return the source files of the packages."""
    return [
        Module(PurePosixPath(path.relative_to(root).as_posix()), path.read_text())
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    ]


def a_folder(found: Iterable[Module]) -> Counter[str]:
    """Return the number of modules in each folder that has any."""
    return Counter(str(module.path.parent) for module in found if module.is_counted)


def lengths(found: Iterable[Module]) -> list[int]:
    """Return the lines of every function, signature included, docstring and decorators not; sorted."""
    return sorted(length(function) for module in found for function in module.functions())


def length(function: Function) -> int:
    """Return the lines of a function, signature included, docstring and decorators not."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def percentiles(values: Sequence[int]) -> dict[str, int]:
    """Return median, p90, p99 and max of sorted values.

    >>> percentiles(list(range(1, 102)))
    {'median': 51, 'p90': 91, 'p99': 100, 'max': 101}
    """
    places = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: values[int(share * (len(values) - 1))] for name, share in places.items()}


def loose_share(found: Iterable[Module]) -> float:
    """Return the share of function signatures that name one of LOOSE."""
    signatures = [_is_loose(function) for module in found for function in module.functions()]
    return sum(signatures) / len(signatures)


def docstring_share(found: Iterable[Module]) -> float:
    """Return the share of public functions, methods and classes that have a docstring."""
    have = [bool(ast.get_docstring(node)) for module in found for node in module.public()]
    return sum(have) / len(have)


def sentences(found: Iterable[Module]) -> list[str]:
    """Return the sentences of all docstrings, without the examples."""
    said: list[str] = []
    for module in found:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                text = re.sub(r"^\s*(>>>|\.\.\.).*$", "", ast.get_docstring(node) or "", flags=re.M)
                parts = re.split(r"(?<=[.:;])\s+|\n\n", text)
                said += [" ".join(part.split()) for part in parts if part.strip()]
    return said


def questions(said: Iterable[str]) -> list[str]:
    """Return the sentences that contain "what" or open with a question word.

    >>> questions(["Return the step.", "What is left.", "Say what it was.", "How it went."])
    ['What is left.', 'Say what it was.', 'How it went.']
    """
    return [one for one in said if re.search(r"\bwhat\b", one, re.I) or QUESTION.match(one)]


def same_names(found: Iterable[Module]) -> dict[str, list[str]]:
    """Return the modules and public classes of one name that no role tells apart, with their places."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in found:
        if not module.is_counted or module.path.stem == "__main__":
            continue
        places[module.path.name].append(str(module.path))
        for node in _public(module.tree.body):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(module.path))
    return {name: where for name, where in places.items() if _is_ambiguous(where)}


def lines(root: Path = ROOT) -> dict[str, int]:
    """Return the lines of Python and of JavaScript in the packages."""
    return {
        kind: sum(
            len(path.read_text().splitlines())
            for package in PACKAGES
            for path in (root / package).rglob(f"*.{kind}")
        )
        for kind in ("py", "js")
    }


def census(root: Path = ROOT) -> dict[str, Any]:
    """Return everything that is counted."""
    found, folders = modules(root), a_folder(modules(root))
    said = sentences(found)
    each = {package: [one for one in found if one.package == package] for package in PACKAGES}
    return {
        "lines": lines(root),
        "folders": len(folders),
        "modules": folders.total(),
        "modules_a_folder": {
            "median": statistics.median(folders.values()),
            "max": max(folders.values()),
            "largest": max(folders, key=lambda folder: folders[folder]),
        },
        "functions": len(lengths(found)),
        "function_lines": percentiles(lengths(found)),
        "loose_signatures": {name: round(loose_share(part), 3) for name, part in each.items()},
        "docstrings": round(docstring_share(found), 3),
        "docstring_sentences": len(said),
        "questions": len(questions(said)),
        "same_names": same_names(found),
    }


def _public(body: Iterable[ast.stmt]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def _is_loose(function: Function) -> bool:
    told = function.args
    given = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
    types = [one.annotation for one in given if one] + [function.returns]
    names = (node for one in types if one for node in ast.walk(one))
    return any(isinstance(node, ast.Name) and node.id in LOOSE for node in names)


def _is_ambiguous(places: Sequence[str]) -> bool:
    return sum(not set(ROLES) & set(Path(place).parts) for place in places) > 1


def main() -> None:
    """Print the census, as lines or as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    found = census()
    if parser.parse_args().json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
