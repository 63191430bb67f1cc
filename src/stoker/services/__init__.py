"""What the server does: each use case one function over `Records`, each loop one small class."""
