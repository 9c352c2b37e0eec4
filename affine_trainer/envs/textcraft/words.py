"""The names of everything that can be fetched or crafted: materials, goods, and odds and ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Craft:
    """One trade: every material comes as two raw items, as the `generic` good, and in each form.

    The name of the generic good is also that of a generic ingredient: "planks" accepts any "... planks".
    """

    materials: tuple[str, ...]
    raws: tuple[str, str]
    generic: str
    forms: tuple[str, ...]

    def named(self, material: str, kind: str) -> str:
        """`oak` and `planks` make `oak planks`; an empty kind is the material itself."""
        return f"{material} {kind}".strip()

    def items(self, kind: str) -> tuple[str, ...]:
        """One kind in every material."""
        return tuple(self.named(material, kind) for material in self.materials)


CRAFTS = (
    Craft(
        ("oak", "birch", "pine", "cedar", "maple", "willow", "elm", "ash"),
        ("log", "branch"),
        "planks",
        ("slab", "fence", "door", "sign", "chest", "ladder", "barrel"),
    ),
    Craft(
        ("granite", "basalt", "marble", "slate", "limestone", "sandstone", "quartz", "flintstone"),
        ("rock", "gravel"),
        "bricks",
        ("wall", "pillar", "tiles", "stairs", "statue", "arch", "basin"),
    ),
    Craft(
        ("iron", "copper", "tin", "gold", "silver", "nickel", "zinc", "lead"),
        ("ore", "nugget"),
        "ingot",
        ("rod", "plate", "chain", "bucket", "helmet", "sword", "lantern"),
    ),
    Craft(
        ("cotton", "silk", "linen", "hemp", "wool", "felt", "jute", "velvet"),
        ("fiber", "scrap"),
        "cloth",
        ("rope", "curtain", "bag", "tent", "robe", "hat", "blanket"),
    ),
    Craft(
        ("red", "blue", "green", "yellow", "white", "black", "purple", "orange"),
        ("petal", "berry"),
        "dye",
        ("candle", "carpet", "banner", "glass", "bed", "kite", "lamp"),
    ),
    Craft(
        ("apple", "pear", "plum", "cherry", "carrot", "pumpkin", "potato", "tomato"),
        ("", "seed"),
        "paste",
        ("pie", "cake", "soup", "salad", "stew", "bun", "tart"),
    ),
)

# Found as they are, and used by every trade.
ODDS_AND_ENDS = (
    *("flint", "feather", "coal", "sand", "clay ball", "leather", "slime ball", "bone"),
    *("egg", "sugar", "wheat", "salt", "reed", "bamboo", "vine", "moss"),
    *("resin", "beeswax", "amber", "ruby", "emerald", "pearl", "shell", "charcoal"),
    *("sulfur", "snowball", "cactus", "honey", "ink sac", "string", "horn", "cobweb"),
)

# Made of odds and ends in one step, and used by every trade.
PARTS = (
    *("stick", "nail", "glue", "paper", "gear", "hinge"),
    *("wheel", "bottle", "needle", "wick", "handle", "hook"),
)
