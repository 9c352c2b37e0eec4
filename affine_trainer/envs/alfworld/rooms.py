"""The rooms of a household: how many receptacles of each kind one may have, and what each kind is like."""

from __future__ import annotations

ROOMS: dict[str, dict[str, tuple[int, int]]] = {
    "kitchen": {
        "cabinet": (1, 3),
        "coffeemachine": (0, 1),
        "countertop": (1, 2),
        "diningtable": (0, 1),
        "drawer": (1, 2),
        "fridge": (1, 1),
        "garbagecan": (1, 1),
        "microwave": (1, 1),
        "shelf": (0, 2),
        "sinkbasin": (1, 1),
        "stoveburner": (0, 2),
        "toaster": (0, 1),
    },
    "livingroom": {
        "armchair": (0, 2),
        "cabinet": (0, 1),
        "coffeetable": (0, 1),
        "desk": (0, 1),
        "diningtable": (0, 1),
        "drawer": (0, 3),
        "dresser": (0, 1),
        "garbagecan": (0, 1),
        "ottoman": (0, 1),
        "safe": (0, 1),
        "shelf": (0, 2),
        "sidetable": (1, 2),
        "sofa": (1, 2),
        "tvstand": (0, 1),
    },
    "bedroom": {
        "armchair": (0, 1),
        "bed": (1, 2),
        "desk": (1, 2),
        "drawer": (1, 4),
        "dresser": (0, 1),
        "garbagecan": (0, 1),
        "laundryhamper": (0, 1),
        "safe": (0, 1),
        "shelf": (0, 3),
        "sidetable": (0, 2),
    },
    "bathroom": {
        "bathtubbasin": (0, 1),
        "cabinet": (1, 3),
        "countertop": (0, 1),
        "drawer": (0, 2),
        "garbagecan": (1, 1),
        "handtowelholder": (0, 2),
        "shelf": (0, 1),
        "sinkbasin": (1, 2),
        "toilet": (1, 1),
        "toiletpaperhanger": (0, 1),
        "towelholder": (0, 2),
    },
}
NUM_PLACES = range(6, 15)

OPENABLE = frozenset({"cabinet", "drawer", "fridge", "laundryhamper", "microwave", "safe"})

SURFACES = frozenset({"coffeetable", "countertop", "desk", "diningtable", "dresser", "shelf", "sidetable"})

# How many things a receptacle holds at the start; a player may put in more.
CAPACITY = {
    "armchair": 2,
    "bathtubbasin": 2,
    "bed": 4,
    "cabinet": 3,
    "coffeemachine": 1,
    "coffeetable": 4,
    "countertop": 5,
    "desk": 5,
    "diningtable": 5,
    "drawer": 3,
    "dresser": 4,
    "fridge": 4,
    "garbagecan": 2,
    "handtowelholder": 1,
    "laundryhamper": 2,
    "microwave": 1,
    "ottoman": 2,
    "safe": 2,
    "shelf": 3,
    "sidetable": 3,
    "sinkbasin": 3,
    "sofa": 3,
    "stoveburner": 1,
    "toaster": 1,
    "toilet": 3,
    "toiletpaperhanger": 1,
    "towelholder": 1,
    "tvstand": 3,
}
