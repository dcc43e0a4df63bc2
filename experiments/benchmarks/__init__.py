"""Benchmarks of this toolkit against its peers, on the same posterior, turn by turn: `make bench`."""
