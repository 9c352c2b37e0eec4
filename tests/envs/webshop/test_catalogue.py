"""The shop's words do not blur; its products come in lines of near-duplicates, each in one split."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from affine_trainer.envs.webshop.catalogue import SPLITS, catalogue
from affine_trainer.envs.webshop.fuzzy import token_set_ratio
from affine_trainer.envs.webshop.reward import ALIKE, base_color
from affine_trainer.envs.webshop.shelves import SECTIONS

ROOT = Path(__file__).parents[3]
SHOP = catalogue()
LINES = [line for split in SPLITS for line in SHOP.lines[split]]


def differences(one, other):
    """Attributes that only the first has, and option values that only the first has."""
    attributes = set(one.attributes) - set(other.attributes)
    values = {value for name, own in one.options.items() for value in own if value not in other.options[name]}
    return len(attributes), len(values)


def digest_of_a_fresh_process(code, hash_seed):
    env = {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, check=True).stdout


def test_it_has_thousands_of_products_with_distinct_short_ids():
    assert len(SHOP.products) >= 1_000
    assert len(SHOP.by_asin) == len(SHOP.products)
    assert {len(asin) for asin in SHOP.by_asin} == {4}


def test_every_product_has_a_sibling_that_differs_in_one_attribute_or_one_option_value():
    for line in LINES:
        for product in line:
            siblings = [other for other in line if other is not product]
            assert any(sum(differences(product, other)) == 1 for other in siblings)


def test_no_two_products_of_a_line_are_the_same():
    for line in LINES:
        seen = [(p.title, frozenset(p.attributes), tuple(p.options.items())) for p in line]
        assert len(set(seen)) == len(line)


def test_a_line_belongs_to_one_split_and_no_other_split_has_its_type_and_style():
    named = {split: {(line[0].style, line[0].kind) for line in SHOP.lines[split]} for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not named[one] & named[other]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_the_attributes_of_a_section_are_not_taken_for_each_other(section):
    for one, other in itertools.permutations((*section.before, *section.after), 2):
        assert token_set_ratio(one, other) <= ALIKE
        assert one not in other


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_the_values_of_an_option_are_not_taken_for_each_other(section):
    for name, values in section.options:
        for one, other in itertools.combinations(map(base_color, values), 2):
            assert one != other if name == "size" else token_set_ratio(one, other) <= ALIKE


def test_values_of_different_options_of_a_product_are_distinct():
    for product in SHOP.products:
        values = [value for values in product.options.values() for value in values]
        assert len(set(values)) == len(values)


def test_types_share_no_noun():
    kinds = [kind for section in SECTIONS for kind in section.types]
    assert len(kinds) == len({word for kind in kinds for word in kind.split()})


def test_a_products_features_name_all_its_attributes():
    for product in SHOP.products:
        text = " ".join(product.features).lower()
        assert all(attribute in text for attribute in product.attributes)


def test_the_catalogue_does_not_depend_on_how_python_hashes_text():
    code = (
        "from affine_trainer.envs.webshop.catalogue import catalogue;"
        "from affine_trainer.records import sha256_of;"
        "print(sha256_of([repr(product) for product in catalogue().products]))"
    )
    assert digest_of_a_fresh_process(code, "1") == digest_of_a_fresh_process(code, "2")
