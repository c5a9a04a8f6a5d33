"""What a running Prometheus says of the SLOs."""
