"""Proof by fault: a whole Stoker that is broken in all ways while it works, and what must hold.

``python -m stoker.testing.chaos --db sqlite --faults 30`` starts it in namespaces of its own, lets
`load` submit and cancel runs, has `faults` break it, waits until all is quiet, and has `checker`
read the `ledger` that the runs wrote against the store.
"""
