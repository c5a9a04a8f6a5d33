"""Specifications of other tools, turned into `sloctl/v1`: a module a dialect, which `sloctl.dialects.table` lists."""
