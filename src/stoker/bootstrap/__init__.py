"""The composition root: puts the server together and runs it."""
