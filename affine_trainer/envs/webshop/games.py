"""`agentgym:webshop`, embedded: the tasks, their plays and their expert."""

from __future__ import annotations

from affine_trainer.envs.agents.game import Expert, Game, GameInfo
from affine_trainer.envs.splits import draw_indices
from affine_trainer.envs.webshop.catalogue import catalogue
from affine_trainer.envs.webshop.expert import WebShopExpert
from affine_trainer.envs.webshop.game import WebShopGame
from affine_trainer.envs.webshop.goals import content, difficulty, errand, kind_of
from affine_trainer.records import UNLIMITED, Split, seed_from


class WebShopGames:
    """All tasks over the one catalogue.

    The real shop shows 10 results a page and repeats the instruction on every page. Fewer results suit a
    small model; without `repeats_instruction` only the search page has it, which saves a third of the text.
    """

    env = "agentgym:webshop"
    family = "embedded"
    max_open = UNLIMITED

    def __init__(self, page_size: int = 4, repeats_instruction: bool = True) -> None:
        self._page_size = page_size
        self._repeats_instruction = repeats_instruction
        self._shop = catalogue()

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return draw_indices(self.env, self.family, split, count, seed)

    def info(self, index: int) -> GameInfo:
        task = errand(self._shop, index)
        return GameInfo(content(task), kind_of(self._shop, task), difficulty(self._shop, task))

    def start(self, index: int) -> WebShopGame:
        task = errand(self._shop, index)
        return WebShopGame(self._shop, task, self._page_size, self._repeats_instruction)

    def expert(self, game: Game) -> Expert:
        """Reads nothing but the pages; the first one, with the instruction, also seeds its wording."""
        first_page = game.observe()
        return WebShopExpert(seed_from(self.env, "expert", first_page), first_page)
