"""What the benchmarks share. Nothing in this folder is a benchmark itself."""
