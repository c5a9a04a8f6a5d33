"""What a running Prometheus says of the SLOs, and what it can still be taught of their past."""
