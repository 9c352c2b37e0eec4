"""Made-up transcripts in the action grammars of the five interactive environments, for pretraining only.

They teach the embedded model the forms (what an observation looks like, what an action looks like), not how
to solve anything: there is no simulator behind them, only enough bookkeeping that an episode makes sense.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from affine_trainer.records import Message

Transcript = list[Message]


def names(text: str) -> list[str]:
    """A list of names written as one text, separated by commas."""
    return [name.strip() for name in text.split(",")]


COLOURS = names("red, green, blue, purple, yellow, grey")
SHAPES = names("ball, box, key, door")
ITEMS = names(
    "apple, bread, egg, lettuce, potato, tomato, mug, cup, bowl, plate, pan, pot, knife, fork, spoon, "
    "spatula, book, newspaper, magazine, pen, pencil, box, vase, statue, watch, keychain, pillow, "
    "remotecontrol, cloth, cellphone, laptop, creditcard, soapbar, soapbottle, spraybottle, towel, "
    "toiletpaper, candle, dishsponge, kettle, winebottle, glassbottle"
)
RECEPTACLES = names(
    "desk, shelf, drawer, cabinet, countertop, diningtable, coffeetable, sidetable, dresser, bed, "
    "sofa, toilet, armchair, safe, garbagecan, stoveburner, bathtubbasin, handtowelholder, ottoman, "
    "cart"
)
APPLIANCES = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}
MATERIALS = names(
    "oak planks, birch planks, oak log, stick, stone, cobblestone, iron ingot, gold ingot, coal, "
    "string, paper, leather, white wool, red dye, blue dye, glass, sand, clay ball, brick, bone meal, "
    "feather, flint, redstone, quartz, bamboo"
)
PRODUCTS = names(
    "wooden pickaxe, stone sword, oak door, red bed, bookshelf, torch, ladder, iron axe, arrow, bow, "
    "painting, lantern, oak fence, stone stairs, glass pane, flower pot, map, compass, clock, chest, "
    "barrel, loom, candle, white carpet"
)
ROOMS = names("kitchen, bathroom, hallway, workshop, greenhouse, bedroom, living room, art studio, foundry")
SUBSTANCES = names(
    "water, ice, chocolate, soap, marshmallow, gallium, lead, orange juice, apple juice, butter"
)
GOODS = names(
    "shirt, dress, sneakers, sandals, jacket, lamp, rug, curtain, chair, desk, bookcase, headphones, "
    "charger, tripod, phone case, shampoo, lotion, candle, tea, coffee, snack bar, nut mix, jeans, "
    "boots, mirror"
)
QUALITIES = names(
    "machine wash, long sleeve, slim fit, easy clean, gluten free, sugar free, wireless, noise "
    "cancelling, fast charging, high density, eco friendly, steel frame, living room, memory foam, "
    "non slip, organic, water resistant, cruelty free"
)


def user(text: str) -> Message:
    """A user message."""
    return Message("user", text)


def act(action: str) -> Message:
    """An assistant message in the reply form all five environments share."""
    return Message("assistant", f"Action: {action}")


def acknowledge(rules: str) -> Transcript:
    """Rules and acknowledgement, the way every agent episode opens."""
    return [user(rules), Message("assistant", "OK. I'll follow the rules.")]


def alfworld(rng: random.Random) -> Transcript:
    """A household episode: look around until the item is found, treat it, put it down."""
    places = [f"{name} {i}" for name in rng.sample(RECEPTACLES, 4) for i in range(1, rng.randint(1, 2) + 1)]
    kind, (verb, appliance) = rng.choice(ITEMS), rng.choice(list(APPLIANCES.items()))
    places.append(f"{appliance} 1")
    goal, item = rng.choice(places[:-1]), f"{kind} {rng.randint(1, 3)}"
    treated = rng.random() < 0.5
    adjective = {"clean": "clean", "heat": "hot", "cool": "cool"}[verb] + " " if treated else ""
    chat = acknowledge("You act in a household by text. Reply with one action a turn.")
    listing = ", ".join(f"a {place}" for place in places)
    chat.append(
        user(
            f"You are in the middle of a room. Looking quickly around you, you see {listing}.\n"
            f"Your task is to: put a {adjective}{kind} in {goal.rsplit(' ', 1)[0]}.\n"
            "AVAILABLE ACTIONS: go to, open, close, take, put, use, heat, cool, clean, examine, look"
        )
    )
    order = rng.sample([place for place in places if place != goal], rng.randint(1, 3))
    for number, place in enumerate(order):
        found = number == len(order) - 1
        things = [f"a {rng.choice(ITEMS)} {rng.randint(1, 3)}" for _ in range(rng.randint(0, 2))]
        seen = ", ".join([*things, f"a {item}"] if found else things) or "nothing"
        chat += [act(f"go to {place}")]
        if rng.random() < 0.3:
            chat += [user(f"The {place} is closed."), act(f"open {place}")]
            chat += [user(f"You open the {place}. The {place} is open. In it, you see {seen}.")]
        else:
            chat += [user(f"You arrive at {place}. On the {place}, you see {seen}.")]
    chat += [act(f"take {item} from {order[-1]}"), user(f"You pick up the {item} from the {order[-1]}.")]
    if treated:
        chat += [
            act(f"go to {appliance} 1"),
            user(f"You arrive at {appliance} 1. The {appliance} 1 is closed."),
        ]
        chat += [
            act(f"{verb} {item} with {appliance} 1"),
            user(f"You {verb} the {item} using the {appliance} 1."),
        ]
    chat += [act(f"go to {goal}"), user(f"You arrive at {goal}. On the {goal}, you see nothing.")]
    return [*chat, act(f"put {item} in/on {goal}")]


def webshop(rng: random.Random) -> Transcript:
    """A shopping episode: search, open a product, choose options, buy."""
    product, wishes = rng.choice(GOODS), rng.sample(QUALITIES, 2)
    colour, price = rng.choice(COLOURS), rng.randint(10, 90)
    chat = acknowledge("You shop in a web store by text. Reply with search[keywords] or click[value].")
    chat.append(
        user(
            f"WebShop [SEP] Instruction: [SEP] i need a {wishes[0]} {product} that is {wishes[1]}, "
            f"and color: {colour}, and price lower than {price}.00 dollars [SEP] Search"
        )
    )
    chat.append(act(f"search[{wishes[0]} {colour} {product}]"))
    codes = [
        "b0" + "".join(rng.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(8)) for _ in range(3)
    ]
    lines = [
        f"{code} [SEP] {rng.choice(QUALITIES)} {product} [SEP] ${rng.randint(5, 99)}.99" for code in codes
    ]
    chat.append(
        user("Back to Search [SEP] Page 1 (Total results: 50) [SEP] Next > [SEP] " + " [SEP] ".join(lines))
    )
    chat.append(act(f"click[{rng.choice(codes)}]"))
    options = " [SEP] ".join([*rng.sample(COLOURS, 3), colour])
    page = f"Back to Search [SEP] < Prev [SEP] color [SEP] {options} [SEP] Price: ${price - 3}.99"
    chat.append(user(f"{page} [SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now"))
    if rng.random() < 0.7:
        chat += [act(f"click[{colour}]"), user(f"You have clicked {colour}. [SEP] Buy Now")]
    return [*chat, act("click[Buy Now]")]


def babyai(rng: random.Random) -> Transcript:
    """A grid-world episode of primitive and compound moves."""
    colour, shape = rng.choice(COLOURS), rng.choice(SHAPES[:3])
    verb = rng.choice(("go to", "pick up"))
    chat = acknowledge("You explore a grid world by text. Reply with one action a turn.")
    for turn in range(rng.randint(2, 6)):
        sights = ", ".join(
            f"{rng.choice(COLOURS)} {rng.choice(SHAPES)} {i} {rng.randint(1, 5)} steps in front of you and "
            f"{rng.randint(1, 4)} steps to your {rng.choice(('left', 'right'))}"
            for i in range(1, rng.randint(1, 3) + 1)
        )
        head = f"Your goal: {verb} the {colour} {shape}\n" if turn == 0 else ""
        chat.append(
            user(
                f"{head}In front of you in this room, you can see several objects: {sights}. "
                "You are not carrying anything."
            )
        )
        chat.append(act(_babyai_move(rng)))
    final = "go to" if verb == "go to" else "pickup"
    return [
        *chat,
        user(f"You can see a {colour} {shape} 1 right in front of you."),
        act(f"{final} {colour} {shape} 1"),
    ]


def _babyai_move(rng: random.Random) -> str:
    colour, shape = rng.choice(COLOURS), rng.choice(SHAPES[:3])
    return rng.choice(
        (
            "turn left",
            "turn right",
            "move forward",
            "toggle",
            "drop",
            "check available actions",
            f"go to {colour} {shape} {rng.randint(1, 3)}",
            f"go through {colour} open door 1",
            f"toggle and go through {colour} {rng.choice(('closed', 'locked'))} door 1",
        )
    )


def sciworld(rng: random.Random) -> Transcript:
    """A science-lab episode in the simulator's action templates."""
    substance, place = rng.choice(SUBSTANCES), rng.choice(ROOMS)
    chat = acknowledge("You do science experiments by text. Reply with one action a turn.")
    chat.append(
        user(
            f"Your task is to boil {substance}. First, focus on the substance.\n"
            "This room is called the hallway."
        )
    )
    thing, wire = rng.choice(("light bulb", "blue wire")), rng.choice(("battery", "red wire"))
    sights = "This room is called the {}. In it, you see: a table, a cup containing nothing, a stove."
    heat = f"the thermometer measures a temperature of {rng.randint(5, 120)} degrees celsius"
    steps = [
        (f"open door to {place}", "The door is now open."),
        (f"go to {place}", f"You move to the {place}."),
        ("look around", sights.format(place)),
        (f"pick up {substance}", f"You move the {substance} to the inventory."),
        (f"focus on {substance} in inventory", f"You focus on the {substance}."),
        (f"move {substance} to metal pot", f"You move the {substance} to the metal pot."),
        ("activate stove", "The stove is now activated."),
        (f"examine {substance}", f"a substance called {substance}"),
        ("use thermometer in inventory on metal pot", heat),
        ("wait1", "You decide to wait for 1 iterations."),
        (f"pour cup into {rng.choice(('sink', 'metal pot', 'bowl'))}", "You pour the contents of the cup."),
        (f"connect {wire} terminal 1 to {thing} terminal 2", "The terminals are now connected."),
    ]
    kept = sorted(rng.sample(range(len(steps)), rng.randint(3, 8)))
    for number, i in enumerate(kept):
        chat.append(act(steps[i][0]))
        if number < len(kept) - 1:
            chat.append(user(steps[i][1]))
    return chat


def textcraft(rng: random.Random) -> Transcript:
    """A crafting episode: fetch the raw materials, craft the parts, craft the goal."""
    goal, part = rng.sample(PRODUCTS, 2)
    first, second, third = rng.sample(MATERIALS, 3)
    many, few = rng.randint(2, 6), rng.randint(1, 4)
    recipes = [
        f"craft 1 {goal} using 1 {part}, {few} {third}",
        f"craft {rng.randint(1, 4)} {part} using {many} {first}",
        f"craft 2 {rng.choice(PRODUCTS)} using {rng.randint(1, 3)} {second}",
    ]
    chat = acknowledge("You craft items by text. Reply with get, craft or inventory.")
    shown = "\n".join(rng.sample(recipes, 3))
    chat.append(user(f"Crafting commands:\n{shown}\n\nGoal: craft {goal}."))
    chat += [act(f"get {many} {first}"), user(f"Got {many} {first}")]
    chat += [act(recipes[1]), user(f"Crafted {recipes[1].split(' using')[0].removeprefix('craft ')}")]
    chat += [act(f"get {few} {third}"), user(f"Got {few} {third}")]
    if rng.random() < 0.3:
        chat += [act("inventory"), user(f"Inventory: [{part}] (1) [{third}] ({few})")]
    return [*chat, act(recipes[0])]


TRANSCRIPTS: dict[str, Callable[[random.Random], Transcript]] = {
    "agentgym:alfworld": alfworld,
    "agentgym:webshop": webshop,
    "agentgym:babyai": babyai,
    "agentgym:sciworld": sciworld,
    "agentgym:textcraft": textcraft,
}
