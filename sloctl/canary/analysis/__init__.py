"""From the samples of two versions to a verdict: pure statistics, without input or output."""
