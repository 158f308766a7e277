"""From which step on a batch changes what the detector sees. Pure."""

from types import SimpleNamespace

from monitor.ingest.attempts import changed_from
from monitor.ingest.messages import NEVER, BatchEffects

FIRST = SimpleNamespace(key=1, place=0, first_step=0, last_step=60)
SECOND = SimpleNamespace(key=2, place=1, first_step=50, last_step=80)
CUTS = {1: 50, 2: NEVER}


def test_scores_of_the_last_step_before_a_resume_count() -> None:
    late = BatchEffects(
        refuted_from=50
    )  # of the weights of step 49, the first attempt's last that counts
    assert changed_from(FIRST, [FIRST, SECOND], CUTS, late) == 50


def test_scores_and_points_of_steps_that_were_left_behind_change_nothing() -> None:
    for left_behind in (BatchEffects(refuted_from=51), BatchEffects(watched_from=50)):
        assert changed_from(FIRST, [FIRST, SECOND], CUTS, left_behind) == NEVER


def test_nothing_that_counts_changes_nothing() -> None:
    assert changed_from(SECOND, [FIRST, SECOND], CUTS, BatchEffects()) == NEVER
