"""The things of a kitchen; some are met in a bedroom too."""

from __future__ import annotations

from affine_trainer.envs.alfworld.thing import BEDROOM, KITCHEN, thing

FOOD = (
    thing(
        "apple",
        KITCHEN,
        {"fridge": 6, "countertop": 3, "diningtable": 3, "sinkbasin": 1, "garbagecan": 1},
        "countertop diningtable fridge garbagecan sinkbasin",
        "clean heat cool",
    ),
    thing(
        "bread",
        KITCHEN,
        {"countertop": 6, "diningtable": 4, "fridge": 1},
        "countertop diningtable fridge",
        "heat cool",
    ),
    thing(
        "egg",
        KITCHEN,
        {"fridge": 8, "countertop": 2, "sinkbasin": 1},
        "countertop diningtable fridge garbagecan sinkbasin",
        "clean heat cool",
    ),
    thing(
        "lettuce",
        KITCHEN,
        {"fridge": 6, "countertop": 3, "diningtable": 2, "sinkbasin": 1},
        "countertop diningtable fridge garbagecan",
        "clean cool",
    ),
    thing(
        "potato",
        KITCHEN,
        {"countertop": 5, "fridge": 4, "sinkbasin": 2, "diningtable": 2},
        "countertop diningtable fridge garbagecan",
        "clean heat cool",
    ),
    thing(
        "tomato",
        KITCHEN,
        {"fridge": 5, "countertop": 4, "diningtable": 2, "sinkbasin": 1},
        "countertop diningtable fridge sinkbasin",
        "clean heat cool",
    ),
)

KITCHENWARE = (
    thing(
        "bowl",
        f"{KITCHEN} {BEDROOM}",
        {
            "countertop": 4,
            "cabinet": 3,
            "diningtable": 3,
            "shelf": 3,
            "desk": 4,
            "dresser": 2,
            "sinkbasin": 1,
        },
        "cabinet countertop diningtable fridge shelf",
        "clean cool",
    ),
    thing(
        "cup",
        KITCHEN,
        {"cabinet": 4, "sinkbasin": 3, "countertop": 3, "shelf": 3, "diningtable": 2},
        "cabinet countertop diningtable microwave shelf sinkbasin",
        "clean heat cool",
    ),
    thing(
        "mug",
        f"{KITCHEN} {BEDROOM}",
        {"coffeemachine": 6, "desk": 5, "cabinet": 3, "countertop": 3, "sinkbasin": 2, "shelf": 2},
        "cabinet coffeemachine countertop desk fridge shelf",
        "clean heat cool",
    ),
    thing(
        "plate",
        KITCHEN,
        {"cabinet": 4, "diningtable": 4, "countertop": 3, "shelf": 3, "sinkbasin": 2},
        "cabinet countertop diningtable fridge microwave shelf",
        "clean heat cool",
    ),
    thing(
        "pan",
        KITCHEN,
        {"stoveburner": 7, "countertop": 3, "cabinet": 2, "sinkbasin": 1},
        "cabinet countertop diningtable sinkbasin stoveburner",
        "clean cool",
    ),
    thing(
        "pot",
        KITCHEN,
        {"stoveburner": 7, "cabinet": 2, "countertop": 2, "sinkbasin": 1},
        "cabinet countertop fridge sinkbasin stoveburner",
        "clean cool",
    ),
    thing(
        "kettle",
        KITCHEN,
        {"stoveburner": 5, "countertop": 3, "cabinet": 2, "shelf": 1},
        "cabinet countertop shelf stoveburner",
        "clean",
    ),
    thing(
        "winebottle",
        KITCHEN,
        {"fridge": 4, "countertop": 4, "cabinet": 2, "diningtable": 2, "shelf": 2},
        "cabinet countertop diningtable fridge garbagecan shelf",
        "cool",
    ),
    thing(
        "butterknife",
        KITCHEN,
        {"drawer": 4, "countertop": 4, "diningtable": 2, "sinkbasin": 1},
        "countertop diningtable drawer sinkbasin",
        "clean",
    ),
    thing(
        "knife",
        KITCHEN,
        {"countertop": 6, "drawer": 3, "diningtable": 2, "sinkbasin": 1},
        "countertop diningtable drawer sinkbasin",
        "clean",
    ),
    thing(
        "fork",
        KITCHEN,
        {"drawer": 6, "sinkbasin": 2, "diningtable": 2, "countertop": 1},
        "countertop diningtable drawer sinkbasin",
        "clean",
    ),
    thing(
        "spoon",
        KITCHEN,
        {"drawer": 6, "sinkbasin": 2, "diningtable": 2, "countertop": 2},
        "countertop diningtable drawer sinkbasin",
        "clean",
    ),
    thing(
        "spatula",
        KITCHEN,
        {"countertop": 4, "drawer": 4, "sinkbasin": 2},
        "countertop diningtable drawer sinkbasin",
        "clean",
    ),
    thing(
        "ladle",
        KITCHEN,
        {"countertop": 4, "drawer": 4, "sinkbasin": 2, "diningtable": 1},
        "cabinet countertop diningtable drawer",
        "clean",
    ),
    thing(
        "dishsponge",
        KITCHEN,
        {"sinkbasin": 6, "countertop": 3, "cabinet": 1},
        "cabinet countertop drawer shelf",
        "clean",
    ),
    thing(
        "peppershaker",
        KITCHEN,
        {"countertop": 4, "shelf": 3, "diningtable": 3, "cabinet": 2},
        "cabinet countertop diningtable drawer shelf",
    ),
    thing(
        "saltshaker",
        KITCHEN,
        {"countertop": 4, "diningtable": 3, "cabinet": 3, "shelf": 2},
        "cabinet countertop diningtable drawer shelf",
    ),
    thing("papertowelroll", KITCHEN, {"countertop": 5, "shelf": 2}, "cabinet garbagecan"),
)
