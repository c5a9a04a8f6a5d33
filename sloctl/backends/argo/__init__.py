"""Gates and guards of Argo Rollouts: what asks `sloctl canary serve` before a rollout goes on."""
