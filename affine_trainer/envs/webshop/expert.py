"""A scripted customer: searches with the instruction's words, reads what he opens, and buys what fits."""

from __future__ import annotations

import random

from affine_trainer.envs.agents.game import Move
from affine_trainer.envs.webshop import pages
from affine_trainer.envs.webshop.reading import (
    Row,
    Wish,
    page_name,
    parts_of,
    read_item,
    read_rows,
    read_wish,
)


class WebShopExpert:
    """Knows the shop's words but not its products; whatever is no fit is never opened again."""

    def __init__(self, seed: int, first_page: str) -> None:
        self._rng = random.Random(seed)
        self._wish = read_wish(parts_of(first_page))
        self._opened: set[str] = set()
        self._chosen: list[str] = []
        self._told: list[str] = []  # what the features of the opened product say

    def move(self, observation: str) -> Move:
        parts = parts_of(observation)
        wish, page = self._wish, page_name(parts)
        if page == "search":
            return self._search(wish)
        if page == "results":
            return self._choose_product(wish, parts)
        return self._on_item(wish, parts) if page == "item" else self._read_features(wish, parts)

    def _search(self, wish: Wish) -> Move:
        thing = " ".join(wish.nouns)
        thought = self._say(
            f"I look for {thing} with the words of the instruction.",
            f"First I search for {thing}.",
            f"I need {thing} for at most ${wish.bound_cents // 100}.",
        )
        return Move(thought, f"search[{' '.join(wish.words)}]")

    def _choose_product(self, wish: Wish, parts: list[str]) -> Move:
        rows = [row for row in read_rows(parts) if self._may_fit(wish, row)]
        if rows:
            return self._open(wish, max(rows, key=lambda row: _shown(wish, row.title)))
        if pages.NEXT in parts:
            thought = self._say("Nothing here fits, so I turn the page.", "No fit on this page.")
            return Move(thought, f"click[{pages.NEXT}]")
        return Move("I have seen them all, so I start over.", f"click[{pages.BACK_TO_SEARCH}]")

    def _may_fit(self, wish: Wish, row: Row) -> bool:
        """Not seen before, not too dear, and named like the thing asked for."""
        words = row.title.lower().replace(",", "").split()
        named = all(part in words for noun in wish.nouns for part in noun.split())
        return named and row.asin not in self._opened and row.cents <= wish.bound_cents

    def _open(self, wish: Wish, row: Row) -> Move:
        self._opened.add(row.asin)
        self._chosen, self._told = [], []
        seen = " and ".join(attribute for attribute in wish.attributes if attribute in row.title.lower())
        thought = self._say(
            f"{row.asin} is {seen or 'the right kind'} and costs ${row.cents / 100:.2f}.",
            f"{row.asin} is under ${wish.bound_cents // 100}, so I open it.",
            f"The title of {row.asin} fits.",
        )
        return Move(thought, f"click[{row.asin}]")

    def _on_item(self, wish: Wish, parts: list[str]) -> Move:
        item = read_item(parts)
        missing = [value for value in wish.values if value not in item.values]
        if missing:
            thought = self._say(f"There is no {missing[0]}, so back.", f"It does not come in {missing[0]}.")
            return Move(thought, f"click[{pages.PREVIOUS}]")
        unknown = [attribute for attribute in wish.attributes if attribute not in item.title.lower()]
        if unknown and not self._told:
            thought = self._say(
                f"I check the features for {unknown[0]}.", f"The title does not say {unknown[0]}."
            )
            return Move(thought, "click[Features]")
        lacking = [attribute for attribute in unknown if attribute not in " ".join(self._told)]
        if lacking:
            thought = self._say(f"Without {lacking[0]} it will not do.", f"No {lacking[0]}, so back.")
            return Move(thought, f"click[{pages.PREVIOUS}]")
        return self._choose_option_or_buy(wish)

    def _choose_option_or_buy(self, wish: Wish) -> Move:
        left = [value for value in wish.values if value not in self._chosen]
        if not left:
            thought = self._say("All is as asked, so I buy it.", "Everything fits.", "This is the one.")
            return Move(thought, f"click[{pages.BUY_NOW}]")
        self._chosen.append(left[0])
        thought = self._say(f"I choose {left[0]}.", f"It comes in {left[0]}.", f"{left[0]} is asked for.")
        return Move(thought, f"click[{left[0]}]")

    def _read_features(self, wish: Wish, parts: list[str]) -> Move:
        self._told = [part.lower() for part in parts[parts.index(pages.PREVIOUS) + 1 :]]
        text = " ".join(self._told)
        lacking = [attribute for attribute in wish.attributes if attribute not in text]
        thought = (
            self._say(f"They do not say {lacking[0]}.", f"No word of {lacking[0]}.")
            if lacking
            else self._say("The features have it.", f"Yes, {wish.attributes[-1]}.")
        )
        return Move(thought, f"click[{pages.PREVIOUS}]")

    def _say(self, *thoughts: str) -> str:
        return self._rng.choice(thoughts)


def _shown(wish: Wish, title: str) -> int:
    """How many of the attributes asked for the title shows."""
    return sum(attribute in title.lower() for attribute in wish.attributes)
