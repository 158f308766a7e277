"""Apache Otava, in an environment of its own (it pins another numpy than Cusp).

    python3.11 -m venv /tmp/otava && /tmp/otava/bin/pip install apache-otava==0.8.0
    CUSP_OTAVA_PYTHON=/tmp/otava/bin/python python -m benchmarks.detector.baselines --methods Otava

Reads one JSON array of columns a line (goodness of each metric), answers with one JSON line
{"records": [[index, evidence, dated index]], "seconds": CPU time}. Otava is re-run on the last 300
points every 20 points with its own defaults (window 50, p 0.001); evidence = -log10 p of its surest
change for the worse.
"""

import json
import math
import sys
import time

from otava.analysis import compute_change_points

EVERY, WINDOW, LEAST = 20, 300, 60


def worst(values: list[float], offset: int) -> tuple[float, int]:
    """Return the evidence and the index of the surest fall in one series."""
    try:
        found, _ = compute_change_points(values, window_len=50, max_pvalue=0.001, min_magnitude=0.0)
    except ValueError:  # a candidate at the very end of the series has no right side
        return 0.0, 0
    falls = [
        (min(-math.log10(max(c.stats.pvalue, 1e-300)), 300.0), offset + int(c.index) - 1)
        for c in found
        if c.stats.mean_2 < c.stats.mean_1
    ]
    return max(falls, default=(0.0, 0))


for line in sys.stdin:
    columns, begin, records, top = json.loads(line), time.process_time(), [], 0.0
    for end in range(LEAST, len(columns[0]) + 1, EVERY):
        start = max(0, end - WINDOW)
        score, dated = max(worst(column[start:end], start) for column in columns)
        if score > top:
            top = score
            records.append([end - 1, score, dated])
    print(json.dumps({"records": records, "seconds": time.process_time() - begin}), flush=True)
