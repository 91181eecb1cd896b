"""`./longshore mutate`: small changes of the product, each of which some test should notice.

A **mutant** is the product with one such change. A seeded sample of them is tried in a copy of the
tree, each against the tests that run its lines; one that no test notices **survived**. Which tests
run a line is measured for those that run the product within their own process; of those that
start processes, `targets.py` names some by module. Those of the running stack aren't asked.
"""
