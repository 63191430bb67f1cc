"""The rules of Stoker: pure functions and records, without I/O and without a clock."""
