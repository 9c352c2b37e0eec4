"""`agentgym:webshop`, embedded: the tasks, their plays and their expert."""

from __future__ import annotations

from affine_trainer.envs.agents.game import Expert, Game, GameInfo
from affine_trainer.envs.splits import draw_indices
from affine_trainer.envs.webshop.catalogue import catalogue
from affine_trainer.envs.webshop.expert import WebShopExpert
from affine_trainer.envs.webshop.game import WebShopGame
from affine_trainer.envs.webshop.goals import content, difficulty, errand, kind_of
from affine_trainer.records import Split, seed_from


class WebShopGames:
    """All tasks over the one catalogue; the real shop shows 10 results a page, four suit a small model."""

    env = "agentgym:webshop"
    family = "embedded"

    def __init__(self, page_size: int = 4) -> None:
        self._page_size = page_size
        self._shop = catalogue()

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return draw_indices(self.env, self.family, split, count, seed)

    def info(self, index: int) -> GameInfo:
        task = errand(self._shop, index)
        return GameInfo(content(task), kind_of(self._shop, task), difficulty(self._shop, task))

    def start(self, index: int) -> WebShopGame:
        return WebShopGame(self._shop, errand(self._shop, index), self._page_size)

    def expert(self, game: Game) -> Expert:
        """Reads nothing but the pages; the first one seeds the wording of its thoughts."""
        return WebShopExpert(seed_from(self.env, "expert", game.observe()))
