"""Dashboards for Grafana (classic schema), from the same catalogue as the rules."""
