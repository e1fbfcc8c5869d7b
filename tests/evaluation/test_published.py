"""The packaged numbers of the literature."""

from collections import Counter
from pathlib import Path

import pytest

from wsol.errors import DataError
from wsol.evaluation.published import EVALUATION, published, recipe_tables
from wsol.evaluation.wording import METRICS

ROOT = Path(__file__).parents[2]
EVERYTHING = ("cub", "imagenet", "openimages")


def value(method: str, backbone: str, data: str, metric: str) -> str:
    (found,) = [
        number.value
        for number in published([data])
        if (number.method, number.backbone, number.metric) == (method, backbone, metric)
    ]
    return found


def test_numbers_of_the_tables() -> None:
    assert value("CAM", "VGG16", "imagenet", "MaxBoxAccV2") == "60.0"
    assert value("ACoL", "ResNet50", "cub", "MaxBoxAccV2") == "66.4"
    assert value("SPG", "InceptionV3", "openimages", "PxAP") == "62.3"
    assert value("CutMix", "ResNet50", "openimages", "PxAP") == "57.7"
    assert value("Bridging the Gap", "ResNet50", "cub", "Top-5 Loc") == "86.68"
    assert value("Bridging the Gap", "VGG16", "imagenet", "GT-known Loc") == "68.92"
    assert value("Rethinking CAM", "MobileNetV1", "imagenet", "Top-1 Loc") == "44.78"
    assert value("TriLite", "", "imagenet", "GT-known Loc") == "77.9"
    assert value("F-CAM", "", "openimages", "PxAP") == "72.1"


def test_the_table_of_the_protocol_is_complete() -> None:
    official = [number for number in published(EVERYTHING) if number.source == "Choe et al. 2020"]
    counts = Counter((number.data, number.metric) for number in official)
    assert counts == {
        ("imagenet", "MaxBoxAccV2"): 18,
        ("cub", "MaxBoxAccV2"): 18,
        ("openimages", "PxAP"): 18,
    }
    assert {number.protocol for number in official} == {"official"}


def test_every_number_is_well_formed_and_there_once() -> None:
    numbers = published(EVERYTHING)
    keys = Counter((n.method, n.backbone, n.data, n.metric) for n in numbers)
    assert set(keys.values()) == {1}
    for number in numbers:
        assert 0 < float(number.value) < 100
        assert number.metric in METRICS
        assert number.protocol in ("official", "own")
        assert number.source


def test_only_the_data_sets_asked_for() -> None:
    assert {number.data for number in published(["cub"])} == {"cub"}
    assert published([]) == ()
    with pytest.raises(DataError, match="'butterflies'"):
        published(["butterflies"])


def test_numbers_of_methods_that_are_here_have_recipes() -> None:
    for number in published(EVERYTHING):
        assert bool(number.recipes) == (number.method not in ("GenPromp", "TriLite", "F-CAM"))
        assert bool(number.recipes) == (number.source in EVALUATION)
        for path in number.recipes:
            assert path.startswith((f"recipes/{number.data}/", "recipes/methods/"))
            assert (ROOT / path).is_file()


def test_commands() -> None:
    tables = recipe_tables()
    assert (
        "| HaS · ResNet50 (Choe et al. 2020) | MaxBoxAccV2 64.6† | "
        "`wsol train --config recipes/cub/resnet50.yaml --config recipes/methods/has.yaml "
        "--data CUB --output runs/cub-resnet50-has`<br>"
        "`wsol evaluate runs/cub-resnet50-has/last.safetensors --data CUB --policy oracle` |\n"
    ) in tables
    assert "Top-1 Loc 73.16†, Top-5 Loc 86.68†, GT-known Loc 91.60†" in tables
    assert "| F-CAM | PxAP 72.1† | not in this package |" in tables


def test_the_page_of_recipes_is_up_to_date() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert page.endswith("\n" + recipe_tables()), (
        "docs/recipes.md does not end with the tables of published.csv: replace what stands there from the "
        'first ### on by the output of python -c "from wsol.evaluation.published import recipe_tables; '
        "print(recipe_tables(), end='')\""
    )
