"""The sentence on a run: its verdict's, or the reason why there is none."""

from collections.abc import Mapping
from typing import Any

PHASE_WORDS = {
    "warming_up": "too little is known yet",
    "adapting": "format not settled",
    "adapted": "no clear rise of format lately",
    "turning": "evidence of a transition",
    "past": "past the transition",
    "collapsed": "hard failure",
}
_NO_STEP = {
    "running": "No step has been received yet; the charts begin with the first one.",
    "stopping": "No step has been received yet; the run was asked to stop.",
    "lost": "Nothing is heard from the trainer, and it has sent no step.",
    "stopped": "The run was stopped before a step of it was received.",
    "finished": "The run finished without a step of it being received.",
    "failed": "The run failed before a step of it was received.",
}
_UNJUDGED = "By step {step} nothing was measured that could show a transition."


def of_run(status: str, step: int | None, verdict: Mapping[str, Any] | None) -> str:
    """Return the sentence on a run from its status, last step and latest verdict.

    >>> of_run("finished", None, None)
    'The run finished without a step of it being received.'
    """
    if verdict:
        return _judged(verdict)
    return _NO_STEP[status] if step is None else _UNJUDGED.format(step=step)


def _judged(verdict: Mapping[str, Any]) -> str:
    """Return the verdict's sentence, after that of held-out scores, if these found the newest weights worse.

    They measure what the signals only hint at. A hard failure stays first: it needs no scores.

    >>> _judged({"held_out": "Step 65 is worse.", "phase": "adapted", "words": "By step 70 no transition is seen."})
    'Step 65 is worse. The signals alone: by step 70 no transition is seen.'
    """
    words, held_out = str(verdict["words"]), verdict.get("held_out")
    if not held_out or verdict["phase"] == "collapsed":
        return words
    if verdict["phase"] in ("turning", "past"):
        return f"{held_out} {words}"
    return f"{held_out} The signals alone: {words[:1].lower()}{words[1:]}"
