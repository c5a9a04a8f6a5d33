"""Prometheus rule files: tiles, roll-ups, windows, budgets and alerts for each SLO."""
