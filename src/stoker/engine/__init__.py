"""How one run is executed: a pure step machine, and the drivers that do what it asks."""
