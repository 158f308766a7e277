"""Every constant of the detector, with what set it.

`study`: the detector study of 2026-11. `decision N`: docs/decisions. `ablation`: `python -m
benchmarks.detector.ablation`, which prints what is lost without each. `by judgement`: nothing was measured.
Modules read `constants.NAME` when they run, so that the ablation can change one value for one run.
"""

import math

# ---------------------------------------------------------------- numbers of points, for a log of every step
SIDE = 8  # on either side of a change; study, part 4
FEW = 16  # before a metric is compared, clipped or fitted; by judgement
LEVEL = 24  # that make a level; with no least, evidence flickered at each short dip of the study's tiny runs
# without a new high of format, to take the noise from; 24: wander stops 3 of 4 test runs
SETTLED = 64
SETTLED_COARSE = (
    24  # in logs of every 4th step or less; with 64 sharp rises were found 1.6 to 2 times later
)
ESTABLISHED = 64  # of a high format that was never seen to rise; study, part 4
WINDOW = 512  # in which a change is searched; study, part 4
REMEMBERED = 3 * WINDOW  # on which it is dated; by judgement
FOLLOWED = 16  # after a change before signals alone confirm it: bursts of bad batches are shorter; ablation
PACE_KNOWN = 4  # over which the logging interval is measured; by judgement
# (steps a point, share of all numbers above): a point averages several steps. By judgement.
COARSE = ((8.0, 0.5), (4.0, 0.75))

# ------------------------------------------------------------------------------------------------- the noise
# Points; study, part 4; with blocks of 1 alone 4 of the zoo's healthy runs are stopped.
BLOCKS = (1, 4, 16, 32)
LEAST_BLOCKS = 11  # for an estimate; by judgement
GROWTH = 1.6  # most by which an estimate that still grows with the block is extrapolated; study's prototype
KEPT = 0.75  # of the bends, the smallest: keeps rises out; the median does as well; benchmarks/detector/ablation
# of the noise of all recent points; without it wander of format stops 1 of 4 test runs
SETTLED_LEAST = 0.4
HEAVY = 0.6  # of the mean deviation, for heavy tails; study's prototype
SPARSE = 0.8  # of the root mean square, for a reward whose median is 0; by judgement
YOUNG = 64.0  # points: noise is inflated by sqrt(1 + YOUNG / points); study, part 4
YOUNG_GATE = 24.0  # the same for the gates, which are less strict; study, part 4
# of the correlation of the metrics' noise is charged; with 1 the tiny runs lose 2 of 27
SHARED = 0.5
MEDIAN_OF = 33  # points of the running median that values are clipped to; study, part 4
CLIP = 3.0  # noise sd; study, part 4
FLOOR = 0.45  # of 1/sqrt(completions): binomial sampling, whose sd is 0.5; study, part 4
FLOOR_GRADED = 0.5  # of FLOOR, where a reward takes values in between; by judgement
FLOOR_LENGTH, FLOOR_ENTROPY, FLOOR_VOLATILITY = 0.008, 0.02, 0.65  # in logs; study, part 4
COMPLETIONS_IF_UNKNOWN = 64  # a low noise floor; study, part 6

# ---------------------------------------------------------------------------------- ranges that were not told
# of its highest value: a reward whose last RANGE_OVER mean is above sits at its ceiling
AT_CEILING = 0.9
RANGE_OVER, RANGE_EVERY = 32, 16  # points; by judgement

# ------------------------------------------------------------------------------------ differences that count
SHARE_EFFECT = 0.06  # radians: 5 points of a share; study, part 4
LENGTH_EFFECT = 0.04  # of log length; study, part 4
ENTROPY_EFFECT = 0.25  # of log entropy, 28 %; by judgement
VOLATILITY_EFFECT = 0.3  # of log; study, part 4
EXPLOSION = 0.3  # of log length, 35 %: of a length that never fell; study, part 4
SPREAD_OFFSET = 0.3  # added to a change before its logarithm; study, part 4

# ------------------------------------------------------------------------------------------------- the gates
RISE_Z = 5.0  # of format; study, part 4
FALL_Z = 4.0  # of length; 3 found 1.5 % more, but moved the kept checkpoint of a public run (decision 0008)
LENGTH_FALL = 0.03  # of log length; study, part 4, and decision 0008
HIGH = 0.5  # of format's range; study, part 4

# ------------------------------------------------------------- witnesses that other things can explain, too
WITNESS = 11.0  # what a second witness must add (z = 3.3); with 6 a turned length was confirmed by any wobble
# of format's range; without it 6 of 480 null runs were stopped, not 1 (calibration seeds)
LEARNT = 0.6
LOST = 0.25  # of accuracy's level left; 1/3 stops one more of the zoo's healthy runs, and no more losing ones
SURGE, SURGE_NATS = math.log(2.0), math.log(0.5)  # of entropy; by judgement, on two public runs
# Truncated share, and by how much it rose. Without it 13 of 22 instead of 19 of the zoo (ablation --quick).
CUT, MORE_CUT = 0.15, 0.10
AT_ONCE = 0.5  # of its own greatest evidence: what length must have at the common step; ablation
STILL = 0.7  # of its change that a metric must still show in its last points to confirm; ablation

# -------------------------------------------------------------------------------------------------- the date
INTERVAL_DROP = 13.0  # of S: the interval holds the truth in 93.9 % of the study's runs
SAFE_DROP = 3.0  # of S; by judgement
# z from which accuracy dates the step to keep; 2 to 3 give the same on zoo and tiny runs
DATED_BY = 2.5
TURN_Z = 3.0  # of length, for a change point of its own; by judgement
GRID = 1.12  # ratio of neighbouring post-change lengths; study's prototype

# ------------------------------------------------------------------------------------ levels of the evidence
DIES_OUT = 0.5  # of `watch`; by judgement
MOST_CLOSED = 8  # kept change points, to bound a verdict; by judgement

# ------------------------------------------------------------------------------------------- format's course
SMOOTH = 0.12  # rate of format's level; by judgement
NEW_HIGH = 0.08  # radians; study, part 4
# radians: the noise is taken from where the level is that near its maximum; by judgement
NEAR_HIGH = 0.2

# ---------------------------------------------- hard collapse; by judgement (doc, "Hard collapse") but CHANCE
GONE = 0.05  # share of a reward's range
CHANCE = 16.0  # -ln of the probability of such a row: ln(1e7) = 16.1
AT_LIMIT = 0.95  # share of clipped completions, or of the token limit
COLLAPSE = 6  # points
DEAD = 8  # points of a dead policy: silent, without entropy, or extinct
USUAL, RECENT = 0.03, 0.1  # least smoothing rates of usual and of recent levels
EXPLODED, EXPLODED_TIMES = 1.5, 5.0  # nats, and times the low
NO_ENTROPY, NO_ENTROPY_SHARE = 0.01, 0.02  # nats, and of the usual entropy
SILENT_ENTROPY, SILENT = 0.25, 0.6  # of the greatest entropy, and of length and spread
