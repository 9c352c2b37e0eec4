"""One visit to the shop: what each action leads to, what it pays, and how near the goal it is."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from typing import Any

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.webshop import pages
from affine_trainer.envs.webshop.catalogue import Catalogue, Product
from affine_trainer.envs.webshop.goals import Errand
from affine_trainer.envs.webshop.pages import Results, View
from affine_trainer.envs.webshop.reward import best_reward, purchase_reward
from affine_trainer.envs.webshop.shelves import SECTIONS
from affine_trainer.records import SnapshotKind, seed_from

MOST_RESULTS = 50
# How much of the way is behind a customer: results with the right product, the product itself, its options.
RESULTS_SHARE, ITEM_SHARE, OPTIONS_SHARE = 0.2, 0.4, 0.5


class WebShopGame:
    """A page machine over the shared catalogue; what the page does not offer leaves it unchanged."""

    snapshot_kind: SnapshotKind = "exact"

    def __init__(self, shop: Catalogue, errand: Errand, page_size: int, repeats_instruction: bool) -> None:
        self.errand = errand
        self._shop = shop
        self._page_size = page_size
        self._head = pages.instruction_head(errand.instruction) if repeats_instruction else []
        self._view = View()
        self._reward = 0.0
        self._best: dict[str, float] = {}

    @property
    def success(self) -> bool:
        return self._view.page == "done" and self._reward == 1.0

    @property
    def progress(self) -> float:
        """The best reward still in reach from this page, weighted by how far along the page is."""
        view = self._view
        if view.page == "done":
            return self._reward
        if view.page == "search":
            return 0.0
        if view.page == "results":
            return RESULTS_SHARE * max(map(self._best_reward, self._results().products), default=0.0)
        product = self._product()
        if_bought = purchase_reward(product, view.options, self.errand.goal)
        return ITEM_SHARE * self._best_reward(product) + OPTIONS_SHARE * if_bought

    def observe(self) -> str:
        """The page as it is now; at the start it is the search page with the instruction."""
        view = self._view
        if view.page == "search":
            return pages.search_page(self.errand.instruction)
        if view.page == "results":
            return pages.results_page(self._head, self._results())
        if view.page == "item":
            return pages.item_page(self._head, self._product())
        if view.page == "sub":
            return pages.sub_page(self._head, self._product(), view.sub)
        return pages.done_page(view.asin, view.options, self._reward)

    def act(self, action: str) -> Outcome:
        paid = 0.0
        name, argument = parse_action(action)
        if self._view.page != "done":
            if name == "search":
                self._view = View("results", argument)
            elif name == "click" and argument in self._clickables() and argument != pages.SEARCH.lower():
                paid = self._click(argument)
        return Outcome(self.observe(), paid, self._reward, self._view.page == "done")

    def actions(self) -> list[str]:
        """Every click on this page; on the search page a few searches for words that the shop knows."""
        if self._view.page == "search":
            rng = random.Random(seed_from("agentgym:webshop", "searches", self.errand.index))
            return [f"search[{rng.choice(section.types)}]" for section in rng.sample(SECTIONS, 8)]
        return [f"click[{value}]" for value in self._clickables()]

    def available_actions(self) -> dict[str, Any]:
        """What the real server answers to GET /available_actions."""
        return {"has_search_bar": self._view.page == "search", "clickables": self._clickables()}

    def snapshot(self) -> bytes:
        return json.dumps({"view": asdict(self._view), "reward": self._reward}).encode()

    def restore(self, state: bytes) -> None:
        saved = json.loads(state)
        self._view, self._reward = View(**saved["view"]), saved["reward"]

    def close(self) -> None:
        """Nothing is held."""

    def _clickables(self) -> list[str]:
        if self._view.page == "search":
            return [pages.SEARCH.lower()]
        if self._view.page == "results":
            return pages.results_clickables(self._results())
        if self._view.page == "item":
            return pages.item_clickables(self._product())
        if self._view.page == "sub":
            return [pages.BACK_TO_SEARCH.lower(), pages.PREVIOUS.lower()]
        return []

    def _click(self, value: str) -> float:
        """Follow a click that the page offers; what it pays."""
        view = self._view
        if value == pages.BUY_NOW.lower():
            self._reward = purchase_reward(self._product(), view.options, self.errand.goal)
            self._view = replace(view, page="done")
            return self._reward
        if value == pages.BACK_TO_SEARCH.lower():
            self._view = View()
        elif value == pages.PREVIOUS.lower():
            self._view = self._before(view)
        elif view.page == "results":
            turned = value == pages.NEXT.lower()
            self._view = replace(view, number=view.number + 1) if turned else _opened(view, value)
        else:
            self._view = self._on_item(view, value)
        return 0.0

    def _before(self, view: View) -> View:
        """The page that `< Prev` leads to; leaving a product forgets the options chosen for it."""
        if view.page == "sub":
            return replace(view, page="item", sub="")
        if view.page == "item":
            return View("results", view.keywords, view.number)
        return replace(view, number=view.number - 1)

    def _on_item(self, view: View, value: str) -> View:
        """A sub page is opened or an option chosen."""
        sub = next((name for name in pages.SUB_PAGES if name.lower() == value), None)
        if sub:
            return replace(view, page="sub", sub=sub)
        name = next(name for name, values in self._product().options.items() if value in values)
        return replace(view, options={**view.options, name: value})

    def _product(self) -> Product:
        return self._shop.by_asin[self._view.asin]

    def _results(self) -> Results:
        found = self._shop.search(self._view.keywords, MOST_RESULTS)
        first = (self._view.number - 1) * self._page_size
        shown = found[first : first + self._page_size]
        return Results(shown, self._view.number, self._page_size, len(found))

    def _best_reward(self, product: Product) -> float:
        if product.asin not in self._best:
            self._best[product.asin] = best_reward(product, self.errand.goal)
        return self._best[product.asin]


def _opened(view: View, asin: str) -> View:
    return replace(view, page="item", asin=asin.upper(), options={})


def parse_action(action: str) -> tuple[str, str]:
    """`click[Buy Now]` as ("click", "buy now"), and ("", "") for what has no such form.

    As the real server reads it: only the first line counts, and nothing after its last bracket.
    """
    line = action.split("\n", 1)[0]
    end = line.rfind("]")
    start = line.rfind("[", 1, max(end - 1, 1))
    return (line[:start], line[start + 1 : end].lower()) if start > 0 else ("", "")
