"""The demonstration behind `make demo`: an SLO burns, its alert fires and resolves."""
