"""The samples of a release from Prometheus, Thanos or Mimir."""
