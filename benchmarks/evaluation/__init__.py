"""Statistics of held-out scores and the choice of a checkpoint, on simulated and on real scores.

`make bench-evaluation` runs the modules one after another: coverage, power, equal, zoo_choice, open_rs, agreement.
"""
