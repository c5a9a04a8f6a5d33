"""Small real services wired to real servers."""
