"""Opinions about a valid catalogue: one module a check, its docstring is its page in `sloctl explain CODE`."""
