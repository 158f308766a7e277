"""The 270 competition problems of CHAMP (arXiv 2401.06961, MIT), from the PyPI package champ-dataset.

Its file is read without importing the package, which reads all generations beside the problems into objects.
"""

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from cusp.process.installed import pip_install
from trainer.evaluation.tasks.task_copies import CopiedProblem
from trainer.training.data import DataError

_FILE = Path("dataset_files", "v0.json")


@lru_cache(maxsize=1)  # 70 MB of JSON, as model generations are in it
def champ_problems() -> tuple[CopiedProblem, ...]:
    """Return the problems with their answers as text; DataError if the package is not installed."""
    spec = find_spec("champ_dataset")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise DataError(
            f"champ needs the package champ-dataset; install it with {pip_install('trainer', 'champ')}"
        )
    found = json.loads((Path(folders[0]) / _FILE).read_text(encoding="utf-8"))["problems"]
    return tuple(
        CopiedProblem(
            id=f"champ-{name.removeprefix('P_')}", question=each["_text"], answer=each["_answer"]
        )
        for name, each in found.items()
    )
