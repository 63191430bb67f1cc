"""What is told of changes, and who reads it."""
