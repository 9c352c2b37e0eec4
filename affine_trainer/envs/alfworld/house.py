"""The things of bathroom, bedroom and living room."""

from __future__ import annotations

from affine_trainer.envs.alfworld.thing import BATHROOM, BEDROOM, KITCHEN, LAMP, LIVINGROOM, thing

BATHWARE = (
    thing(
        "soapbottle",
        f"{KITCHEN} {BATHROOM}",
        {"countertop": 4, "toilet": 4, "sinkbasin": 3, "cabinet": 2, "bathtubbasin": 1},
        "cabinet countertop drawer garbagecan toilet",
    ),
    thing(
        "candle",
        BATHROOM,
        {"toilet": 4, "countertop": 4, "shelf": 3, "cabinet": 2, "drawer": 1},
        "cabinet countertop drawer shelf toilet",
    ),
    thing(
        "cloth",
        BATHROOM,
        {"sinkbasin": 3, "countertop": 3, "cabinet": 3, "bathtubbasin": 3, "drawer": 2},
        "bathtubbasin cabinet countertop drawer toilet",
        "clean",
    ),
    thing(
        "handtowel",
        BATHROOM,
        {"handtowelholder": 8, "sinkbasin": 1, "countertop": 1},
        "bathtubbasin cabinet countertop garbagecan sinkbasin toilet",
    ),
    thing(
        "towel",
        BATHROOM,
        {"towelholder": 8, "bathtubbasin": 2, "shelf": 1},
        "bathtubbasin countertop toilet towelholder",
    ),
    thing(
        "soapbar",
        BATHROOM,
        {"sinkbasin": 5, "toilet": 3, "bathtubbasin": 3, "countertop": 3, "cabinet": 1},
        "bathtubbasin cabinet countertop drawer garbagecan toilet",
        "clean",
    ),
    thing(
        "spraybottle",
        BATHROOM,
        {"toilet": 4, "cabinet": 3, "countertop": 3, "shelf": 2, "garbagecan": 1},
        "cabinet countertop drawer garbagecan shelf toilet",
    ),
    thing(
        "toiletpaper",
        BATHROOM,
        {"toiletpaperhanger": 6, "toilet": 4, "cabinet": 2, "countertop": 1},
        "cabinet countertop drawer garbagecan toilet toiletpaperhanger",
    ),
)

LIVINGWARE = (
    thing(
        "alarmclock",
        BEDROOM,
        {"sidetable": 5, "desk": 5, "dresser": 4, "shelf": 1},
        "desk dresser drawer shelf sidetable",
    ),
    thing("baseballbat", BEDROOM, {"bed": 4, "armchair": 1, "desk": 1}, "bed desk"),
    thing(
        "basketball", BEDROOM, {"bed": 3, "laundryhamper": 2, "armchair": 2, "desk": 1}, "armchair bed desk"
    ),
    thing(
        "book",
        f"{BEDROOM} {LIVINGROOM}",
        {
            "desk": 5,
            "bed": 4,
            "coffeetable": 4,
            "shelf": 3,
            "sofa": 2,
            "sidetable": 2,
            "dresser": 1,
            "drawer": 1,
        },
        "armchair bed coffeetable desk dresser drawer shelf sidetable sofa",
    ),
    thing(
        "box",
        LIVINGROOM,
        {"coffeetable": 4, "sofa": 3, "diningtable": 3, "armchair": 2, "sidetable": 1},
        "armchair coffeetable dresser ottoman sidetable sofa",
    ),
    thing(
        "cd",
        BEDROOM,
        {"desk": 6, "shelf": 3, "drawer": 2, "dresser": 2, "garbagecan": 1},
        "desk drawer dresser garbagecan safe shelf",
    ),
    thing(
        "cellphone",
        f"{BEDROOM} {LIVINGROOM}",
        {"desk": 4, "bed": 4, "sofa": 3, "sidetable": 3, "coffeetable": 3, "dresser": 3, "drawer": 2},
        "armchair bed coffeetable desk dresser drawer safe shelf sidetable sofa",
    ),
    thing(
        "creditcard",
        f"{BEDROOM} {LIVINGROOM}",
        {"desk": 4, "coffeetable": 4, "sidetable": 3, "dresser": 3, "shelf": 2, "sofa": 2, "drawer": 1},
        "armchair coffeetable desk dresser drawer safe shelf sidetable",
    ),
    thing(
        "keychain",
        f"{BEDROOM} {LIVINGROOM}",
        {"sidetable": 4, "dresser": 4, "coffeetable": 3, "desk": 3, "drawer": 2, "sofa": 1, "safe": 1},
        "armchair coffeetable desk dresser drawer ottoman safe sidetable sofa",
    ),
    thing(
        "laptop",
        f"{BEDROOM} {LIVINGROOM}",
        {"desk": 6, "bed": 4, "coffeetable": 4, "sofa": 3, "diningtable": 3, "armchair": 1},
        "armchair bed coffeetable desk diningtable ottoman sofa",
    ),
    thing(
        "newspaper",
        LIVINGROOM,
        {"coffeetable": 5, "sofa": 4, "armchair": 2, "diningtable": 2, "sidetable": 2, "garbagecan": 1},
        "armchair coffeetable drawer garbagecan ottoman sidetable sofa",
    ),
    thing(
        "pen",
        BEDROOM,
        {"desk": 6, "drawer": 3, "shelf": 2, "sidetable": 2},
        "desk drawer dresser shelf sidetable",
    ),
    thing(
        "pencil",
        BEDROOM,
        {"desk": 6, "drawer": 3, "shelf": 2, "sidetable": 2},
        "desk drawer garbagecan shelf sidetable",
    ),
    thing(
        "pillow",
        f"{BEDROOM} {LIVINGROOM}",
        {"bed": 7, "sofa": 6, "armchair": 4, "ottoman": 2},
        "armchair bed ottoman sofa",
    ),
    thing(
        "remotecontrol",
        LIVINGROOM,
        {"tvstand": 5, "sofa": 4, "coffeetable": 4, "armchair": 2, "sidetable": 2, "drawer": 1},
        "armchair coffeetable drawer dresser ottoman sidetable sofa tvstand",
    ),
    thing(
        "statue",
        LIVINGROOM,
        {"dresser": 4, "shelf": 4, "coffeetable": 4, "tvstand": 3, "sidetable": 2, "cabinet": 1},
        "cabinet coffeetable desk dresser safe shelf sidetable tvstand",
    ),
    thing(
        "teddybear", BEDROOM, {"bed": 7, "armchair": 2, "desk": 1, "dresser": 1}, "armchair bed desk dresser"
    ),
    thing(
        "tissuebox",
        f"{BATHROOM} {BEDROOM} {LIVINGROOM}",
        {
            "toilet": 4,
            "countertop": 4,
            "coffeetable": 4,
            "sidetable": 4,
            "dresser": 2,
            "cabinet": 2,
            "desk": 2,
        },
        "cabinet coffeetable countertop dresser drawer shelf sidetable toilet",
    ),
    thing(
        "vase",
        LIVINGROOM,
        {"shelf": 4, "coffeetable": 4, "diningtable": 3, "dresser": 3, "sidetable": 2, "cabinet": 1},
        "cabinet coffeetable diningtable dresser safe shelf sidetable tvstand",
    ),
    thing(
        "watch",
        f"{BEDROOM} {LIVINGROOM}",
        {"dresser": 4, "sidetable": 4, "coffeetable": 4, "desk": 3, "shelf": 2, "drawer": 2, "safe": 1},
        "coffeetable desk dresser drawer safe shelf sidetable tvstand",
    ),
)

LAMPS = (thing(LAMP, f"{BEDROOM} {LIVINGROOM}", {"desk": 6, "sidetable": 5, "dresser": 2, "shelf": 1}),)
