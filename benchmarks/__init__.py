"""Anonode beside real peers, in one interleaved run; see `python -m benchmarks --help`."""
