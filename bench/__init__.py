"""Benchmarks: each row has a target, what was measured, and whether it holds. A miss exits with 1."""
