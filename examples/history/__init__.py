"""The past of a shop, for docs/backtest.md: `python -m examples.history.run` prints what the page shows."""
