"""What each task asks for: a product of the split, some of its attributes and options, and a price bound."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from affine_trainer.envs.splits import split_of
from affine_trainer.envs.webshop.catalogue import Catalogue, Product
from affine_trainer.envs.webshop.reward import Goal, best_reward
from affine_trainer.envs.webshop.wording import instruction
from affine_trainer.records import seed_from

READS_FEATURES = 0.25  # of the tasks ask for an attribute that the title does not show
TELLING = 0.5  # of the options asked for are, where there are such, some that a sibling lacks


@dataclass(frozen=True, slots=True)
class Errand:
    """One task: the goal, its wording, and the product that it was made from (others may do as well)."""

    index: int
    goal: Goal
    instruction: str
    product: Product


@lru_cache(maxsize=4096)
def errand(shop: Catalogue, index: int) -> Errand:
    """The task of an index."""
    split = split_of(index)
    rng = random.Random(seed_from("agentgym:webshop", "errand", index))
    product = rng.choice(rng.choice(shop.lines[split]))
    siblings = shop.siblings(product)
    attributes = _attributes(rng, product)
    goal = Goal(
        kind=product.kind,
        title=product.title,
        category=product.category,
        attributes=attributes,
        options=_options(rng, product, siblings, 0.15 if hidden_from_title(product, attributes) else 0.4),
        bound_cents=_bound(rng, product.cents),
    )
    return Errand(index, goal, instruction(rng, product, goal), product)


def hidden_from_title(product: Product, attributes: tuple[str, ...]) -> list[str]:
    """The attributes that the title does not show."""
    return [attribute for attribute in attributes if attribute not in product.title.lower()]


def _attributes(rng: random.Random, product: Product) -> tuple[str, ...]:
    """One or two; either all stand in the title or one does not."""
    hidden = hidden_from_title(product, product.attributes)
    shown = [attribute for attribute in product.attributes if attribute not in hidden]
    chosen = rng.sample(shown, rng.randint(1, len(shown)))
    if rng.random() < READS_FEATURES:
        chosen = [rng.choice(hidden), *chosen][: rng.randint(1, 2)]
    rng.shuffle(chosen)
    return tuple(chosen)


def _options(
    rng: random.Random, product: Product, siblings: Sequence[Product], every: float
) -> dict[str, str]:
    """A value for every option, with the chance `every`, or else for one of them."""
    names = list(product.options)
    if rng.random() >= every:
        names = [rng.choice(names)]
    return {
        name: _telling(rng, product.options[name], [sibling.options[name] for sibling in siblings])
        for name in names
    }


def _telling(rng: random.Random, own: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """One of the product's own, often one that not all the others have."""
    rare = [value for value in own if not all(value in other for other in others)]
    return rng.choice(rare if rare and rng.random() < TELLING else own)


def _bound(rng: random.Random, cents: int) -> int:
    """A multiple of five dollars, at most forty above the price."""
    return (cents // 500 + rng.randint(1, 8)) * 500


def kind_of(shop: Catalogue, errand: Errand) -> str:
    """What must be read to choose well: the features, the options, or no more than the results."""
    goal = errand.goal
    if hidden_from_title(errand.product, goal.attributes):
        return "features"
    rivals = [
        rival
        for rival in shop.siblings(errand.product)
        if rival.cents <= goal.bound_cents and not hidden_from_title(rival, goal.attributes)
    ]
    return "options" if any(best_reward(rival, goal) < 1.0 for rival in rivals) else "results"


def difficulty(shop: Catalogue, errand: Errand) -> float:
    """The chance that a product of the line and values of the options, all drawn at random, miss the goal."""
    line = shop.siblings(errand.product)
    hit = sum(best_reward(product, errand.goal) == 1.0 for product in line) / len(line)
    for name in errand.goal.options:
        hit /= len(errand.product.options[name])
    return 1.0 - hit


def content(errand: Errand) -> dict[str, object]:
    """What is asked for, wording and order aside."""
    goal = errand.goal
    return {
        "noun": f"{errand.product.style} {goal.kind}",
        "attributes": sorted(goal.attributes),
        "options": dict(goal.options),
        "bound_cents": goal.bound_cents,
    }
