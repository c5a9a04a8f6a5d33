"""Ownership in the specifications as a tested Alertmanager routing tree."""
