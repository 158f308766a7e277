"""A second generator of runs with known truth, written from how GRPO makes its numbers.

    from benchmarks.detector.grpo_simulation import KINDS, make
    run = make("drop_medium_450", seed=7)
    run.points(logging_steps=5)     # what TRL logs, canonical names
    run.truth, run.case(), run.held_out(400), run.answers(400, problems=64)

Nothing in it comes from the detector. Every step has prompts with a latent difficulty, length and
tendency to break the format, groups of completions, binary or graded rewards, a token limit that cuts
answers and with them format and accuracy, epochs over a finite set of problems, and a policy whose
state follows a learning rate with warm-up and cosine (setting.py, policy.py, batch.py). Kinds of runs
are in kinds.py: `steady`, `hard` and `odd` ones are healthy, `positive` ones have a transition. oracle.py
says when somebody who knows all but the time could have seen it.
"""

from benchmarks.detector.grpo_simulation.kinds import KINDS, Kind
from benchmarks.detector.grpo_simulation.run import Run, make

__all__ = ["KINDS", "Kind", "Run", "make"]
