"""Options of `cusp train` that mean a training elsewhere are refused beside one here, and the other way round."""

import pytest

from cusp.cli.train import OptionsContradict, train


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"box": "l40s"}, "--box needs --submit"),
        ({"as_json": True}, "--json needs --submit"),
        ({"submit": True, "resume": True}, "--resume does not go with --submit"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_options_that_contradict_are_refused_before_anything_is_trained(
    given: dict[str, str | bool], words: str
) -> None:
    with pytest.raises(OptionsContradict, match=words):
        train("tiny", ["grpo.max_steps=1"], **given)  # type: ignore[arg-type]
