"""The analysis webhook: what Argo Rollouts asks before it goes on. `sloctl canary serve` runs it."""
