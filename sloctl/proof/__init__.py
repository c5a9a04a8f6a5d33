"""When alerts will fire, and the proof in promtool's rule engine that they do."""
