"""A dashboard drawn from live data as one self-contained page, for people without Grafana at hand."""
