"""Which queued run is given which slot, and the leases that say so."""
