"""`report_to=["cusp"]`: an entry in transformers' table of reporting integrations.

`import cusp` imports neither transformers nor torch: an import hook adds the entry when the table's module
is imported.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

NAME = "cusp"
_TABLE = "transformers.integrations.integration_utils"
_AVAILABLE = "get_available_reporting_integrations"


class ReportToCusp:
    """The table's entry: a class that makes a `CuspCallback`, imported on use."""

    def __new__(cls) -> Any:
        from cusp.trl.callback import CuspCallback

        return CuspCallback()


def register_when_imported() -> None:
    """Add the entry now, or when transformers' table of integrations is imported. Idempotent."""
    if _TABLE in sys.modules:
        _register(sys.modules[_TABLE])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _register(module: ModuleType) -> None:
    """Add the entry, and the name to those of `report_to="all"`."""
    table = getattr(module, "INTEGRATION_TO_CALLBACK", None)
    available = getattr(module, _AVAILABLE, None)
    if not isinstance(table, dict) or NAME in table:
        return
    table[NAME] = ReportToCusp
    if available is None:
        return

    def with_cusp() -> list[str]:
        return [*available(), NAME]

    setattr(module, _AVAILABLE, with_cusp)
    package = sys.modules.get("transformers.integrations")
    if package is not None and _AVAILABLE in vars(package):  # a lazy module copies it
        setattr(package, _AVAILABLE, with_cusp)


class _Finder(importlib.abc.MetaPathFinder):
    """Import hook for one module: finds it by the other finders, and registers once it is executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _TABLE:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _execute_and_register(spec.loader)
        return spec


def _execute_and_register(loader: Any) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _register(module)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        return  # a loader that cannot be changed: only `report_to=["cusp"]` is missing then
