"""What a specification will do: when its alerts fire, and what changes between two catalogues."""
