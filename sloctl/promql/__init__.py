"""PromQL on the syntax tree of `promql-parser`; the one place that quotes and prints it."""
