"""How a view is told and which text actions it offers, in the words of AgentGym's BabyAI server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from affine_trainer.envs.babyai.routes import DROP, FORWARD, LEFT, PICKUP, RIGHT, TOGGLE, Routes
from affine_trainer.envs.babyai.view import Cell, Sight, View

CHECK = "check available actions"
COMPLETED = "\n The task is completed."
NO_CHANGE = "No change in state."
NOT_RECOGNIZED = "The action is not recognized. Please check valid actions."


@dataclass(slots=True)
class Offer:
    """What can be done from a view: `moves` of each text action in the server's order, and what each acts on.

    `refusals` are the answers to actions that would be understood but cannot be done now.
    """

    moves: dict[str, list[int]] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    targets: dict[str, Sight] = field(default_factory=dict)

    def add(self, action: str, moves: list[int], target: Sight) -> None:
        self.moves[action] = moves
        self.targets[action] = target


def describe(view: View, carrying: Cell) -> str:
    """The observation of a view."""
    sights = view.sights()
    seen = "You cannot see any objects within sight."
    if sights:
        seen = "In front of you in this room, you can see several objects: "
    names = Counter[str]()
    for sight in sights:
        if sight.thing.kind == "wall":
            continue
        names[sight.thing.name] += 1
        seen += f"There is a {sight.thing.name} {names[sight.thing.name]} {_where(sight)} "
    barrier = _barrier(sights)
    facing = f"You are facing a {barrier.thing.kind} {barrier.ahead} steps away. " if barrier else ""
    holding = f"You are carrying a {carrying.name}." if carrying else "You are not carrying anything."
    return f"{seen}The room has walls around you. {facing}{holding}"


def offers(view: View, carrying: Cell) -> Offer:
    """The text actions of a view."""
    sights = view.sights()
    things = [sight for sight in sights if sight.thing.kind != "wall"]
    routes = Routes(view)
    offer = Offer({"turn left": [LEFT], "turn right": [RIGHT]})
    barrier = _barrier(sights)
    if barrier is None or barrier.ahead > 1:
        offer.moves["move forward"] = [FORWARD]
    else:
        offer.refusals["move forward"] = "There is a barrier in front of you, you can't move forward."
    if carrying is None:
        _offer_reaching(offer, "pickup", [PICKUP], [s for s in things if s.thing.portable], routes)
    _offer_drop(offer, view, sights, carrying)
    for sight, name in _numbered(things):
        if sight.thing.kind == "door":
            _offer_door(offer, sight, name, routes, carrying)
    _offer_reaching(offer, "go to", [], things, routes)
    offer.moves[CHECK] = []
    return offer


def listing(offer: Offer) -> str:
    """The line that ends each of the server's observations."""
    return "\nAvailable actions: [" + ", ".join(f'"{action}"' for action in offer.moves) + "]"


def all_actions(offer: Offer) -> str:
    """The answer to `check available actions`."""
    return "You can take the following actions: " + ", ".join(offer.moves)


def _where(sight: Sight) -> str:
    if sight.right == 0:
        return f"right in front of you {sight.ahead} steps away. "
    side = "right" if sight.right > 0 else "left"
    return f"{sight.ahead} steps in front of you and {abs(sight.right)} steps to your {side}. "


def _barrier(sights: list[Sight]) -> Sight | None:
    """The nearest wall or box straight ahead."""
    return next((s for s in sights if s.right == 0 and s.thing.kind in ("box", "wall")), None)


def _numbered(things: list[Sight]) -> Iterator[tuple[Sight, str]]:
    """Each thing with its name and number, as the observation counts them."""
    names = Counter[str]()
    for sight in things:
        names[sight.thing.name] += 1
        yield sight, f"{sight.thing.name} {names[sight.thing.name]}"


def _offer_reaching(offer: Offer, verb: str, last: list[int], things: list[Sight], routes: Routes) -> None:
    """Offer `verb` for every thing that can be faced; only those are counted, unlike in the observation."""
    reached = Counter[str]()
    for sight in things:
        name = sight.thing.name
        moves = routes.facing(sight.position)
        action = f"{verb} {name} {reached[name] + 1}"
        if moves is None:
            offer.refusals[action] = f"You cannot {action}, as there is no path leading to it."
        else:
            reached[name] += 1
            offer.add(action, moves + last, sight)


def _offer_drop(offer: Offer, view: View, sights: list[Sight], carrying: Cell) -> None:
    if carrying is None:
        offer.refusals["drop"] = "You cannot drop the object, as you are not carrying anything."
    elif any(sight.position == view.pose.front and sight.thing.kind != "door" for sight in sights):
        offer.refusals["drop"] = "You cannot drop the object, as there is already an object in front of you."
    else:
        offer.moves["drop"] = [DROP]


def _offer_door(offer: Offer, sight: Sight, name: str, routes: Routes, carrying: Cell) -> None:
    through, toggling = f"go through {name}", f"toggle and go through {name}"
    door = sight.thing
    if door.state == "open":
        onto = routes.onto(sight.position)
        if onto is None:
            offer.refusals[through] = f"You cannot {through}, as there is no path leading to it."
        else:
            offer.add(through, onto, sight)
        return
    if door.state == "closed":
        offer.refusals[through] = f"You cannot {through}, as it is closed. You should toggle it first."
    elif carrying is None or carrying.kind != "key":
        offer.refusals[toggling] = f"You cannot {toggling}, as you are not carrying a key."
        return
    elif carrying.color != door.color:
        wrong_key = "the color of the key you are carrying does not match the color of door"
        offer.refusals[toggling] = f"You cannot {toggling}, as {wrong_key}."
        return
    facing = routes.facing(sight.position)
    if facing is None:
        offer.refusals[toggling] = f"You cannot {toggling}, as there is no path leading to it."
    else:
        offer.add(toggling, [*facing, TOGGLE, FORWARD], sight)
    if facing == []:
        offer.add("toggle", [TOGGLE], sight)
