"""The body of an announcement: taken without what is wrong in it, so that no run is hidden by it."""

from typing import Any

from pydantic import (
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from cusp.protocol.fields import MOST_FIELDS
from cusp.protocol.reading import read_start
from cusp.protocol.run import RunStart
from cusp.protocol.salvage import Part

# Of what may be wrong in these nothing can be left out.
_NEEDED = ("run_id", "attempt_id", "v")


class Announcement(RunStart):
    """`RunStart`, read so that a wrong part of it is left out and an unknown field is let by."""

    _refused: tuple[Part, ...] = PrivateAttr(default=())
    _ignored: tuple[str, ...] = PrivateAttr(default=())

    @property
    def refused(self) -> tuple[Part, ...]:
        """The parts that were left out or cut."""
        return self._refused

    @property
    def ignored(self) -> tuple[str, ...]:
        """The fields that are unknown here."""
        return self._ignored

    @model_validator(mode="wrap")
    @classmethod
    def _salvage(
        cls, raw: Any, handler: ModelWrapValidatorHandler["Announcement"]
    ) -> "Announcement":
        try:
            found = read_start(raw) if isinstance(raw, dict) else None
        except ValidationError:
            found = None
        if found is None:
            return handler(raw)  # which says what is wrong
        made = handler(found.model.model_dump())
        made._refused, made._ignored = found.refused, found.unknown
        return made

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Any:
        """Return what is refused when it is wrong; the protocol says what the other fields mean."""
        made = handler.resolve_ref_schema(handler(core))
        kept = {name: made["properties"][name] for name in _NEEDED}
        others = {name: {"description": "as in `RunStart`"} for name in RunStart.model_fields}
        made["properties"] = {**others, "name": {"type": "string", "minLength": 1}, **kept}
        made["additionalProperties"] = True
        made["maxProperties"] = MOST_FIELDS
        return made
