"""The dialects that `sloctl import` reads. Each module is a `sloctl.dialects.draft.Dialect`."""

from __future__ import annotations

from typing import Final

from sloctl.dialects import grafana, nobl9, openslo, pyrra, sloth
from sloctl.dialects.draft import Dialect

DIALECTS: Final[dict[str, Dialect]] = {dialect.name: dialect for dialect in (sloth, pyrra, openslo, nobl9, grafana)}
