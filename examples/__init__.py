"""Small real services wired to real servers, and the helpers that start and stop those servers."""
