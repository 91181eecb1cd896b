"""`./longshore bench`: what Longshore does beside what people do without it, in one run.

Only ratios are worth anything on a machine that others use too: everything that is compared takes
turns, in rounds of shuffled order. Real processes, spoken to over HTTP on the loopback.
"""
