"""Specifications for what a running Prometheus holds: `sloctl discover`."""
