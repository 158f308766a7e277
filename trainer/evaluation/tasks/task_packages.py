"""The packages that tasks without a copy come from; each is an extra of Cusp's."""

from collections.abc import Iterable
from importlib.util import find_spec

from cusp.process.installed import pip_install
from trainer.evaluation.tasks.suites import GYM

# By what a task's name begins with: the package, and the extra that installs it (pyproject.toml).
_OF = {"champ": ("champ-dataset", "champ"), GYM: ("reasoning-gym", "reasoning-gym")}


def not_installed(names: Iterable[str]) -> str | None:
    """Return a sentence on all packages that the tasks need and are missing, with the way out; None: all are there."""
    missing: dict[tuple[str, str], list[str]] = {}
    for name in dict.fromkeys(names):
        for start, (package, extra) in _OF.items():
            if name.startswith(start) and find_spec(package.replace("-", "_")) is None:
                missing.setdefault((package, extra), []).append(name)
    if not missing:
        return None
    told = " and ".join(f"{package} (for {', '.join(of)})" for (package, _), of in missing.items())
    words, what = ("package", "is") if len(missing) == 1 else ("packages", "are")
    it = "it" if len(missing) == 1 else "them"
    return (
        f"the {words} {told} {what} not installed; install {it} with"
        f" {pip_install('trainer', *(extra for _, extra in missing))}"
    )
