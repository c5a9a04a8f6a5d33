"""The past of an SLO as counts: which alerts would have fired, which incidents there were, and how well the first told.

Pure: arrays in, values out; nothing here asks a server or knows a file. What stands on it reads tiles elsewhere.

- `tiles`: `Tiles` are events of consecutive pieces of time, `History` is all that the rules of one SLO (or of one value
  of its split labels) read of the past.
- `counting`: tiles from raw samples, as the rules would have counted them.
- `windows`: `Windows(slo, history)` are sums, ratios and the budget at each evaluation, as the rules work them out.
- `recordings`: `recorded(platform, slo, history)` is what the rules would have recorded.
- `replay`: `replayed(slo, history)` is what each tier of the SLO would have done: its `Episode`s.
- `incidents`: `incidents(slo, tiles)` are the stretches that spent the budget, with begin, end and what they spent.
- `score`: `notifications(...)` are the times that somebody would have been told, `scored(...)` how well they did.
- `suggest`: the objective that the past keeps, and the tiers that nothing beats.
- `backtest`: `Backtest(slo, history, span).result(policies)` puts these together; `picture` draws it.

`live.history.read_past` reads histories out of a running Prometheus.

Moments are whole Unix milliseconds (`int64`), as Prometheus has them; counts are `float64`. It needs numpy, which the
extra `sloctl[history]` brings.
"""
