"""Servers, brokers, databases and samples that tests, benchmarks and the demonstration share."""
