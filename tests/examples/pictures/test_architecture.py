"""The architecture picture shows the tree as it is."""

from collections.abc import Iterator
from xml.etree import ElementTree

from examples.pictures.architecture import BOXES, FLOWS, PICTURE, picture
from testing.servers import ROOT

PACKAGE = ROOT / "sloctl"
AGAIN = "run `python -m examples.pictures.architecture` and commit docs/pictures/architecture.svg"


def modules() -> Iterator[str]:
    """Every module and package directly in sloctl/."""
    for path in PACKAGE.iterdir():
        if path.suffix == ".py" and not path.name.startswith("__"):
            yield path.stem
        elif (path / "__init__.py").exists():
            yield path.name


def test_every_module_of_the_tree_has_a_box_and_every_box_its_module() -> None:
    boxes = {box.name for box in BOXES if not box.outside}
    assert {name for name in boxes if "." not in name} - {"carriers"} == set(modules())
    for name in {name for name in boxes if "." in name} | {"instrumentation.carriers"}:
        assert (PACKAGE / name.replace(".", "/") / "__init__.py").exists(), f"the box {name} has no package"


def test_the_picture_is_what_its_script_makes_of_the_tree() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), AGAIN


def test_boxes_do_not_overlap_and_arrows_join_boxes() -> None:
    assert len({(box.column, box.row) for box in BOXES}) == len(BOXES)
    names = {box.name for box in BOXES}
    assert {end for flow in FLOWS for end in flow} <= names
    shown = [text.text for text in ElementTree.fromstring(picture()).iter() if text.get("class") == "name"]
    assert sorted(map(str, shown)) == sorted(names)
