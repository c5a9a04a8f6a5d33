"""What was decided, by whom and from which counts: one append-only chain in SQLite or PostgreSQL."""
