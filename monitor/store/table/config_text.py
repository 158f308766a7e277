"""A value of a run's configuration as text in SQL: on both databases as the configuration's JSON writes it."""

import re
from typing import Any

from sqlalchemy import ColumnElement, Double, Text, case, cast, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from monitor.database.schema import runs

# As JSON writes one, and within the reach of a double: PostgreSQL refuses to cast 12e4567 (a hash, say).
NUMBER = re.compile(r"^-?[0-9]{1,200}(\.[0-9]{1,200})?([eE][-+]?[0-9]{1,2})?$")


class _ConfigText(FunctionElement[str]):
    """Arguments: the configuration, the path as SQLite writes it, then its parts."""

    name = "config_text"
    type = Text()
    inherit_cache = True


def config_text(key: str) -> ColumnElement[str]:
    """Return a key of the configuration as text; `a.b` is the key `a.b`, or `b` within `a`.

    Strings are as they are, the rest is JSON: `1e-06`, `true`. What is missing or null is NULL.
    """
    whole, parts = _at(key), key.split(".")
    return whole if len(parts) == 1 or not all(parts) else func.coalesce(whole, _at(*parts))


def number_or_null(text: ColumnElement[str]) -> ColumnElement[float | None]:
    """Return the text as a number; NULL where it is none."""
    return case((text.regexp_match(NUMBER.pattern), cast(text, Double)))


def _at(*parts: str) -> ColumnElement[str]:
    path = "".join(f'."{part}"' for part in parts)
    return _ConfigText(runs.c.config, f"${path}", *parts)


@compiles(_ConfigText, "postgresql")
def _postgresql(element: _ConfigText, compiler: SQLCompiler, **how: Any) -> str:
    config, _, *parts = element.clauses
    return compiler.process(func.json_extract_path_text(config, *parts), **how)


@compiles(_ConfigText, "sqlite")
def _sqlite(element: _ConfigText, compiler: SQLCompiler, **how: Any) -> str:
    config, path, *_ = element.clauses
    # json_extract makes 0.000001 of 1e-06 and 1 of true; for two paths it returns `[1e-06,1e-06]`.
    # `->` would do as well, but SQLite has it only since 3.38.
    kind, pair = func.json_type(config, path), func.json_extract(config, path, path)
    written = func.substr(pair, 2, (func.length(pair) - 3) / 2)
    text = case(
        (kind == "text", func.json_extract(config, path)),
        (kind != "null", written),
    )
    return compiler.process(text, **how)
