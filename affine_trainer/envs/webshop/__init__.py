"""`agentgym:webshop` by pip alone: a generated shop, its pages and its published reward."""

from affine_trainer.envs.webshop.games import WebShopGames
from affine_trainer.envs.webshop.rules import RULES, RULES_SHORT

__all__ = ["RULES", "RULES_SHORT", "WebShopGames"]
