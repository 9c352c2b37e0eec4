"""A purchase earns the published share of what was asked for, and 1.0 for nothing less than all of it."""

from dataclasses import replace

import pytest

from affine_trainer.envs.webshop.catalogue import Product
from affine_trainer.envs.webshop.fuzzy import token_set_ratio
from affine_trainer.envs.webshop.reward import Goal, best_reward, purchase_reward, type_factor

SHIRT = Product(
    asin="B123",
    title="Norvik Striped Shirt, Slim Fit",
    style="striped",
    kind="shirt",
    category=("Clothing", "Tops", "shirt"),
    attributes=("slim fit", "side pockets"),
    features=("Slim fit", "With side pockets"),
    description="A shirt that is wrinkle free.",
    options={"color": ("red", "sky blue"), "size": ("small", "x-large")},
    cents=3999,
    reviews=(),
)
GOAL = Goal(
    kind="shirt",
    title="Brenna Plaid Shirt",
    category=("Clothing", "Tops", "shirt"),
    attributes=("slim fit", "side pockets"),
    options={"color": "red", "size": "small"},
    bound_cents=4000,
)
ALL = {"color": "red", "size": "small"}


def test_everything_as_asked_earns_one():
    assert purchase_reward(SHIRT, ALL, GOAL) == 1.0


@pytest.mark.parametrize(
    ("product", "chosen", "goal", "share"),
    [
        (SHIRT, {}, GOAL, 3 / 5),
        (SHIRT, {"color": "red"}, GOAL, 4 / 5),
        (SHIRT, {"color": "sky blue", "size": "small"}, GOAL, 4 / 5),
        (SHIRT, ALL, GOAL._replace(bound_cents=3998), 4 / 5),
        (SHIRT, ALL, GOAL._replace(bound_cents=3999), 1.0),
        (SHIRT, ALL, GOAL._replace(attributes=("slim fit", "quick drying")), 4 / 5),
        (SHIRT, {}, GOAL._replace(attributes=("quick drying",), bound_cents=100), 0.0),
        (SHIRT, {}, GOAL._replace(attributes=("quick drying",)), 1 / 4),
    ],
)
def test_what_is_missing_costs_its_share(product, chosen, goal, share):
    assert purchase_reward(product, chosen, goal) == pytest.approx(share)


def test_an_attribute_counts_when_only_a_text_has_it():
    assert purchase_reward(SHIRT, ALL, GOAL._replace(attributes=("wrinkle free",))) == 1.0


def test_a_size_must_be_exact_and_a_color_may_be_a_shade():
    assert purchase_reward(SHIRT, {"size": "x-large"}, GOAL._replace(options={"size": "large"})) < 1.0
    assert purchase_reward(SHIRT, {"color": "sky blue"}, GOAL._replace(options={"color": "blue"})) == 1.0


def test_options_that_nobody_asked_for_neither_help_nor_hurt():
    goal = GOAL._replace(options={"size": "small"})
    assert purchase_reward(SHIRT, ALL, goal) == purchase_reward(SHIRT, {"size": "small"}, goal) == 1.0


@pytest.mark.parametrize(
    ("title", "kind", "factor"),
    [
        ("Brenna Plaid Shirt", "shirt", 1.0),
        ("Brenna Plaid Sofa", "sofa", 0.0),
        ("Shirt Sofa Lamp Rug Vase", "sofa", 0.5),
        ("Shirt Sofa Lamp Rug", "sofa", 1.0),
        ("Shirt Sofa Lamp Rug Vase Clock Mirror Wreath Desk Stool Mug", "sofa", 0.1),
    ],
)
def test_the_type_counts_by_the_nouns_of_the_titles(title, kind, factor):
    goal = GOAL._replace(title=title, kind=kind, category=("Home", "Decor", kind))
    assert type_factor(SHIRT, goal) == factor


def test_the_same_shelf_makes_up_for_a_distant_title():
    goal = GOAL._replace(title="Shirt Sofa Lamp Rug Vase", kind="blouse")
    assert type_factor(SHIRT, goal) == 1.0


def test_the_best_reward_is_that_of_the_best_options():
    assert best_reward(SHIRT, GOAL) == 1.0
    assert best_reward(replace(SHIRT, options={"size": ("small",)}), GOAL) == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("red", "red", 100),
        ("red", "dark red", 100),  # the words of one are among the other's
        ("Side-Pockets", "pockets side", 100),
        ("long sleeve", "short sleeve", 100 * (1 - 5 / 17)),  # "sleeve" against "sleeve long"
        ("ab", "cd", 0),
        ("abcd", "abce", 75),
        ("", "red", 0),
    ],
)
def test_phrases_are_compared_by_the_words_they_share(one, other, ratio):
    assert token_set_ratio(one, other) == pytest.approx(ratio)
    assert token_set_ratio(other, one) == pytest.approx(ratio)
