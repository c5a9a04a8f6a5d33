"""Fixtures that several parts of the canary's tests use."""

from tests.canary.audit.conftest import server

__all__ = ["server"]
