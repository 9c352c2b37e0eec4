"""A player who searches where a person would look first, and knows only what was observed."""

from __future__ import annotations

from affine_trainer.envs.agents.game import Move
from affine_trainer.envs.alfworld.goals import APPLIANCES, LOOK
from affine_trainer.envs.alfworld.notes import Notes, kind_of
from affine_trainer.envs.alfworld.rooms import OPENABLE
from affine_trainer.envs.alfworld.thing import LAMP
from affine_trainer.envs.alfworld.things import THINGS
from affine_trainer.envs.alfworld.thoughts import Thinker
from affine_trainer.records import seed_from

UNUSUAL = 0.1  # the weight of a place where a thing is not usually found
LAMP_SHARE = 0.5  # how much finding the lamp on the way counts while the thing is still looked for


class AlfWorldExpert:
    """Find it, take it, treat it, bring it; `put` words the putting, e.g. `move {thing} to {place}`."""

    def __init__(self, put: str) -> None:
        self._put = put
        self._notes: Notes | None = None
        self._last = ""

    def move(self, observation: str) -> Move:
        if self._notes is None:
            self._notes = Notes(observation)
            self._thinker = Thinker(seed_from("alfworld thoughts", observation))
            self._target: str | None = None
        else:
            self._notes.update(self._last, observation)
        decided = self._next(self._notes)
        self._last = decided.action
        return decided

    def _next(self, notes: Notes) -> Move:
        if notes.held is not None:
            return self._with_held(notes, notes.held)
        known = [(thing, place) for thing, place in notes.where(notes.goal.thing) if place != self._target]
        if known:
            near = [each for each in known if each[1] == notes.at]
            return self._fetch(notes, *(near or known)[0])
        return self._search(notes, notes.goal.thing)

    def _with_held(self, notes: Notes, held: str) -> Move:
        goal = notes.goal
        if goal.kind == LOOK:
            return self._to_light(notes)
        if goal.treatment and held not in notes.treated:
            return self._treat(notes, held, goal.treatment)
        if self._target is None:
            self._target = self._best_target(notes)
        place = self._target
        if notes.at != place:
            return self._go(place, "deliver", item=held)
        if place in notes.closed:
            return self._open(place)
        return self._say("put", self._put.format(thing=held, place=place), item=held, place=place)

    def _fetch(self, notes: Notes, thing: str, place: str) -> Move:
        if notes.at != place:
            return self._go(place, "fetch", item=thing)
        return self._say("take", f"take {thing} from {place}", item=thing)

    def _treat(self, notes: Notes, held: str, verb: str) -> Move:
        place = next(name for name in reversed(notes.places) if kind_of(name) == APPLIANCES[verb])
        if notes.at != place:
            return self._go(place, "to treat", item=held, verb=verb)
        return self._say("treat", f"{verb} {held} with {place}", item=held, place=place, verb=verb)

    def _to_light(self, notes: Notes) -> Move:
        lamps = notes.where(LAMP)
        if not lamps:
            return self._search(notes, LAMP)
        lamp, place = lamps[0]
        if notes.at != place:
            return self._go(place, "to lamp", item=lamp)
        return self._say("use", f"use {lamp}", item=lamp, thing=notes.goal.thing)

    def _search(self, notes: Notes, thing: str) -> Move:
        unknown = [place for place in reversed(notes.places) if place not in notes.contents]
        if not unknown:
            return self._say("lost", "look")
        place = max(unknown, key=lambda name: self._promise(notes, name, thing))
        if notes.at != place:
            return self._go(place, "search more" if self._target else "search", thing=thing)
        return self._open(place)

    def _promise(self, notes: Notes, place: str, thing: str) -> float:
        """How likely a look into a place pays, for each round that it costs."""
        kind = kind_of(place)
        weight = THINGS[thing].homes.get(kind, UNUSUAL)
        if notes.goal.kind == LOOK and thing != LAMP and not notes.where(LAMP):
            weight += LAMP_SHARE * THINGS[LAMP].homes.get(kind, 0)
        if notes.goal.treatment is None and kind == notes.goal.target:
            weight = UNUSUAL  # there it would not have to be brought
        rounds = (notes.at != place) + (kind in OPENABLE)
        return weight / rounds

    def _best_target(self, notes: Notes) -> str:
        """A place of the wanted kind: the one at hand, else one that is open, else the first."""
        places = [name for name in reversed(notes.places) if kind_of(name) == notes.goal.target]
        return max(places, key=lambda name: (name == notes.at, name in notes.contents))

    def _go(self, place: str, why: str, **words: str) -> Move:
        return self._say(why, f"go to {place}", place=place, **words)

    def _open(self, place: str) -> Move:
        return self._say("open", f"open {place}", place=place)

    def _say(self, why: str, action: str, **words: str) -> Move:
        return Move(self._thinker.think(why, **words), action)
