"""What AgentGym's five servers do behind their addresses, quirks included; three play embedded engines."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any, NamedTuple

from affine_trainer.envs.alfworld import AlfWorldGames
from affine_trainer.envs.textcraft import TextCraftGames
from affine_trainer.envs.webshop import WebShopGames


class Reply(NamedTuple):
    """Status and JSON; the real webshop drops the connection after a status of 500."""

    status: int
    body: Any


class World:
    """Instances by id. `make_id` makes an id of a running number; `can_close`: there is a /close."""

    id_key = "id"
    hello = ""

    def __init__(self, make_id=int, can_close=True) -> None:
        self.make_id, self.can_close = make_id, can_close
        self.made = itertools.count()
        self.plays: dict[Any, Any] = {}
        self.over: set[Any] = set()
        self.num_created = 0

    def answer(self, method: str, path: str, body: Any, query: dict[str, str]) -> Reply:
        if path == "":
            return Reply(200, self.hello)
        if path == "create":
            return self.create(body)
        if path == "close" and not self.can_close:
            return Reply(404, {"detail": "Not Found"})
        given = body if method == "POST" else query
        if not isinstance(given, dict) or self.id_key not in given:
            return Reply(422, {"detail": "Field required"})
        number = self.make_id(given[self.id_key])
        if number not in self.plays:
            return self.unknown(number)
        if path == "close":
            del self.plays[number]
            return Reply(200, True)
        if path == "reset":
            return self.begin(number, given)
        if path == "step":
            return self.step(number, given["action"])
        return Reply(200, self.offered(number)) if path == "available_actions" else Reply(404, {})

    def create(self, body: Any) -> Reply:
        self.num_created += 1
        number = self.make_id(next(self.made))
        self.plays[number] = None
        return Reply(200, {self.id_key: number})

    def unknown(self, number: Any) -> Reply:
        return Reply(200, {"error": f"The id {number} is not valid."})

    def begin(self, number: Any, given: dict[str, Any]) -> Reply:
        self.over.discard(number)
        return Reply(200, self.reset(number, given))

    def step(self, number: Any, action: str) -> Reply:
        if number in self.over:
            return Reply(200, {"error": f"The task with environment {number} has finished."})
        reply = self.act(number, action)
        if reply["done"]:
            self.over.add(number)
        return Reply(200, reply)

    def reset(self, number: Any, given: dict[str, Any]) -> Any:
        raise NotImplementedError

    def act(self, number: Any, action: str) -> dict[str, Any]:
        raise NotImplementedError

    def offered(self, number: Any) -> Any:
        return []


class TextCraft(World):
    hello = "This is environment TextCraft."
    games = TextCraftGames()

    def create(self, body: Any) -> Reply:
        if not isinstance(body, dict):
            return Reply(422, {"detail": "Field required"})
        made = super().create(body).body
        return Reply(200, {**made, "observation": self.reset(made["id"], {"data_idx": 0})["observation"]})

    def reset(self, number, given):
        self.plays[number] = self.games.start(given["data_idx"])
        return {"id": number, "observation": self.plays[number].observe(), "done": False, "reward": 0}

    def act(self, number, action):
        outcome = self.plays[number].act(action)
        return {"observation": outcome.observation, "reward": outcome.reward, "done": outcome.done}


class AlfWorld(World):
    hello = "This is environment AlfWorld."

    def __init__(self, make_id=int, can_close=False) -> None:
        super().__init__(make_id, can_close)
        self.games = AlfWorldGames()

    def reset(self, number, given):
        assert given["world_type"] == "Text"
        self.plays[number] = game = self.games.start(given["game"])
        offered = game.actions()
        return {"id": number, "observation": game.observe(), "available_actions": offered, "task_type": "x/y"}

    def act(self, number, action):
        game = self.plays[number]
        outcome = game.act(action)
        reply = {"observation": outcome.observation, "reward": outcome.reward, "done": outcome.done}
        return {**reply, "available_actions": game.actions()}


@lru_cache
def shop() -> WebShopGames:
    """The shop takes a moment to stock."""
    return WebShopGames()


class WebShop(World):
    """The bare number is its answer to /create, and whatever goes wrong is a 500."""

    id_key = "env_idx"
    hello = "ok"

    def __init__(self, make_id=int, can_close=False) -> None:
        super().__init__(make_id, can_close)
        self.games = shop()

    def create(self, body):
        return Reply(200, super().create(body).body[self.id_key])

    def unknown(self, number):
        return Reply(500, "Internal Server Error")

    def reset(self, number, given):
        self.plays[number] = self.games.start(given["session_id"])
        return [self.plays[number].observe(), None]

    def act(self, number, action):
        outcome = self.plays[number].act(action)
        return {"state": outcome.observation, "reward": outcome.reward, "done": outcome.done, "info": None}

    def offered(self, number):
        return self.plays[number].available_actions()


class BabyAI(World):
    """`toggle` ends the task at .5, which this server takes for not done, and pays again at every step."""

    hello = "This is environment BabyAI."

    def reset(self, number, given):
        self.plays[number] = {"reward": 0.0, "score": 0.0}
        seen = f"Your goal: open door {given['data_idx']}\nYou see a door."
        return {"observation": seen, "reward": 0, "score": 0, "deleted": False, "done": False}

    def act(self, number, action):
        play = self.plays[number]
        play["reward"] = {"toggle": 0.5, "pickup": 0.0}.get(action, play["reward"])
        play["score"] += play["reward"]
        return {"observation": f"You did {action}.", "done": False, **play}


class SciWorld(World):
    """`focus on wrong` ends at -100, `heat` pays 40 of the 100 points, and anything else nothing."""

    hello = "This is environment ScienceWorld."

    def reset(self, number, given):
        self.plays[number] = 0
        seen = {"observation": "A kitchen.", "reward": 0, "score": 0, "done": False, "deleted": False}
        return {"task_name": "boil", "var_num": 0, "task_description": f"Boil {given['data_idx']}.", **seen}

    def act(self, number, action):
        before = self.plays[number]
        after = min(100, before + 40) if action == "heat" else before
        after = -100 if action == "focus on wrong" else after
        self.plays[number] = after
        done = after in (100, -100)
        return {"observation": f"{action}: {after}", "reward": after - before, "score": after, "done": done}


WORLDS = {
    "webshop": WebShop,
    "alfworld": AlfWorld,
    "babyai": BabyAI,
    "sciworld": SciWorld,
    "textcraft": TextCraft,
}
