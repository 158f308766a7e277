"""The order of a run's attempts: that of their announcement, but for those that name their place. Pure.

No clock of a box has a say in it, so neither has an attempt's id. An attempt that is announced late (`cusp
sync` of an offline one) names the attempt before it.
"""

from collections.abc import Sequence
from typing import Any


def place_of(rows: Sequence[Any], attempt_id: str, after: str | None, late: bool | None) -> int:
    """Return where a new attempt goes among `rows` (in order): from 0 to their number.

    `late` False: it lives, so it is the newest, whatever box it goes on from. Otherwise it goes right
    behind `after`. In no case behind one that has named it as the attempt before.
    """
    end = next((i for i, row in enumerate(rows) if row.after == attempt_id), len(rows))
    if late is False:
        return end
    known = next((i + 1 for i, row in enumerate(rows) if row.id == after), None)
    if known is not None:
        return min(known, end)
    # The first one of a folder that is told late is older than what has been announced; one whose
    # predecessor is not known yet takes its turn, and the predecessor comes before it.
    return 0 if late and after is None else end
