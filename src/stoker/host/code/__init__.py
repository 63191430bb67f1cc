"""Users' code: imported, watched while it is, and judged whether it can be forked."""
