"""Canary analysis: the evidence of two versions' metrics, and the verdict that it allows."""
