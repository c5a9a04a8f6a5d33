"""What is rendered reads back as the same values, by a YAML library that we did not write."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sloctl.model.artifact import Artifact
from sloctl.rendering import render, to_yaml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "",
        "true",
        "No",
        "1e5",
        "0x1",
        "-",
        "~",
        "null",
        "12:30",
        "a: b",
        "a #b",
        "#x",
        "[x]",
        "|",
        " x",
        "x ",
        "\n",
        "x\n\n y\n",
    ]
)
values = st.recursive(
    texts | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.property
@given(st.lists(values, min_size=1) | st.dictionaries(texts, values, min_size=1))
def test_yaml_reads_back_the_same(value: object) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


def test_promql_becomes_block_text_so_that_one_changed_line_is_one_line_of_diff() -> None:
    assert to_yaml({"expr": 'sum(\n  up{job="x"}\n)'}) == 'expr: |-\n  sum(\n    up{job="x"}\n  )\n'


def test_plain_words_names_and_durations_need_no_quotes() -> None:
    text = to_yaml({"record": "slo:sli_total:increase1m", "for": "1h30m", "url": "https://x.example/a"})
    assert text == "record: slo:sli_total:increase1m\nfor: 1h30m\nurl: https://x.example/a\n"


def test_a_binary_fraction_never_reaches_an_output() -> None:
    with pytest.raises(TypeError, match="float"):
        to_yaml({"x": 0.1})


def test_json_has_sorted_keys_and_a_final_newline() -> None:
    content = render(Artifact("dashboards/p/x.json", {"b": 1, "a": [True]}, ()))
    assert json.loads(content) == {"a": [True], "b": 1}
    assert content.startswith(b'{\n  "a"')
    assert content.endswith(b"}\n")
