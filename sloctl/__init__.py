"""sloctl: SLO specifications compiled to rules, dashboards, routes and canary verdicts.

This module imports nothing, so that services which need only `sloctl.instrumentation` pay for nothing else.
"""
