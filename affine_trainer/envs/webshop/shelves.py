"""What the shop sells, shelf by shelf, in our own words."""

from __future__ import annotations

from typing import NamedTuple


def listed(text: str) -> tuple[str, ...]:
    """`"red, navy"` as ("red", "navy")."""
    return tuple(text.split(", "))


COLORS = listed(
    "black, white, red, navy, olive, teal, beige, pink, purple, brown, gray, yellow, sky blue, lime green"
)
CLOTHES = listed("x-small, small, medium, large, x-large, xx-large")
FOUR_SIZES = listed("small, medium, large, x-large")
BEDS = listed("twin, full, queen, king")
PACKS = listed("pack of 1, pack of 2, pack of 4, pack of 6, pack of 12")
OUNCES = listed("4 ounce, 6 ounce, 8 ounce, 12 ounce, 16 ounce")
INCHES = listed("18 inch, 20 inch, 24 inch, 28 inch, 32 inch")


class Section(NamedTuple):
    """One shelf: its types, and what sets their products apart.

    `before` attributes are said before the noun, `after` ones with "with"; prices are in dollars.
    """

    department: str
    name: str
    types: tuple[str, ...]
    styles: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    options: tuple[tuple[str, tuple[str, ...]], ...]
    prices: tuple[int, int]


SECTIONS = (
    Section(
        "Clothing",
        "Tops",
        listed("shirt, blouse, sweater, hoodie, cardigan, jacket, pullover"),
        listed(
            "striped, plaid, floral, denim, ribbed, quilted, corduroy, linen, cropped, batik, crochet, tweed"
        ),
        listed("machine washable, slim fit, loose fit, quick drying, long sleeve, short sleeve"),
        listed("button closure, side pockets, soft lining, stretch fabric"),
        (("color", COLORS), ("size", CLOTHES)),
        (15, 60),
    ),
    Section(
        "Clothing",
        "Bottoms",
        listed("pants, shorts, skirt, leggings, jeans, joggers, overalls"),
        listed(
            "pleated, cargo, tapered, flared, checked, fleece, twill, distressed, velour, "
            "paisley, stonewashed, tiered"
        ),
        listed("wrinkle free, high waist, straight leg, wide leg, hand washable, moisture wicking"),
        listed("elastic waist, drawstring closure, zipper pockets, tummy control"),
        (("color", COLORS), ("size", CLOTHES)),
        (15, 60),
    ),
    Section(
        "Clothing",
        "Shoes",
        listed("sneakers, sandals, boots, loafers, slippers, clogs, moccasins"),
        listed(
            "canvas, suede, woven, chunky, perforated, knitted, leather, glitter, trail, "
            "tasseled, studded, mid top"
        ),
        listed("slip resistant, water resistant, shock absorbing, lace up, open toe, vegan friendly"),
        listed("arch support, memory foam, rubber sole, ankle strap"),
        (("color", COLORS), ("size", listed("6, 7, 8, 9, 10, 11, 12"))),
        (20, 90),
    ),
    Section(
        "Clothing",
        "Bags",
        listed("backpack, tote, wallet, duffel, suitcase, satchel, purse"),
        listed(
            "nylon, waxed, embroidered, structured, beaded, hardshell, slouchy, retro, mesh, "
            "pleather, pebbled, convertible"
        ),
        listed("carry on, light weight, scratch resistant, anti theft, rain proof, roomy"),
        listed("adjustable strap, laptop sleeve, hidden compartment, magnetic closure"),
        (("color", COLORS), ("size", INCHES)),
        (20, 110),
    ),
    Section(
        "Beauty",
        "Skin and Hair",
        listed("lotion, shampoo, conditioner, serum, cleanser, sunscreen, balm"),
        listed(
            "aloe, argan, oatmeal, charcoal, honey, rosehip, keratin, chamomile, jojoba, "
            "calendula, bergamot, cucumber"
        ),
        listed("cruelty free, paraben free, sulfate free, long lasting, non greasy, travel sized"),
        listed("vitamin c, hyaluronic acid, tea tree, shea butter"),
        (("scent", listed("lavender, vanilla, citrus, coconut, rose, unscented")), ("size", OUNCES)),
        (8, 40),
    ),
    Section(
        "Grocery",
        "Snacks",
        listed("cookies, crackers, granola, popcorn, jerky, pretzels, truffles"),
        listed(
            "crunchy, artisan, mini, multigrain, smoked, baked, toasted, chewy, spiced, frosted, "
            "salted, golden"
        ),
        listed("gluten free, sugar free, keto friendly, non gmo, low sodium, dairy free"),
        listed("high protein, sea salt, whole grain, natural ingredients"),
        (
            ("flavor name", listed("cheddar, maple, cinnamon, peanut butter, lemon, chili")),
            ("size", PACKS),
        ),
        (8, 35),
    ),
    Section(
        "Grocery",
        "Drinks",
        listed("coffee, tea, lemonade, kombucha, smoothie, soda, cider"),
        listed(
            "sparkling, herbal, roasted, iced, cloudy, instant, frothy, bold, mellow, chilled, aged, velvety"
        ),
        listed("caffeine free, fair trade, low calorie, kosher certified, fat free, shelf stable"),
        listed("added fiber, live cultures, real fruit, no preservatives"),
        (("flavor name", listed("peach, ginger, mango, hazelnut, mint, black cherry")), ("size", PACKS)),
        (8, 35),
    ),
    Section(
        "Home",
        "Bedding",
        listed("pillow, blanket, comforter, sheets, duvet, quilt, mattress"),
        listed(
            "bamboo, cotton, velvet, waffle, sherpa, jacquard, flannel, sateen, chenille, "
            "percale, ruffled, knotted"
        ),
        listed("hypoallergenic, super soft, double sided, all season, extra thick, breathable"),
        listed("deep pockets, cooling gel, corner ties, piped edges"),
        (("color", COLORS), ("size", BEDS)),
        (20, 120),
    ),
    Section(
        "Home",
        "Furniture",
        listed("sofa, bookcase, nightstand, recliner, desk, stool, ottoman"),
        listed(
            "rustic, tufted, industrial, farmhouse, minimalist, rattan, colonial, art deco, cube, "
            "lacquered, scandinavian, shabby chic"
        ),
        listed("easy assembly, space saving, heavy duty, fully assembled, stain resistant, contemporary"),
        listed("solid wood, metal legs, storage drawer, cup holder"),
        (("color", COLORS), ("size", INCHES)),
        (60, 240),
    ),
    Section(
        "Home",
        "Kitchen",
        listed("kettle, blender, skillet, toaster, mug, tumbler, colander"),
        listed(
            "enamel, copper, ceramic, cast iron, speckled, hammered, glazed, ombre, marbled, "
            "fluted, matte, terracotta"
        ),
        listed("dishwasher safe, bpa free, non stick, heat resistant, leak proof, easy to clean"),
        listed("stainless steel, glass lid, wooden handle, silicone grip"),
        (("color", COLORS), ("size", listed("small, medium, large, set of 2, set of 4"))),
        (12, 80),
    ),
    Section(
        "Electronics",
        "Devices",
        listed("headphones, charger, speaker, keyboard, webcam, projector, router"),
        listed(
            "gaming, portable, compact, studio, foldable, vintage, rugged, slimline, desktop, "
            "modular, smart, executive"
        ),
        listed("noise cancelling, fast charging, plug and play, hands free, high speed, dust proof"),
        listed("carrying case, volume control, usb port, led display"),
        (("color", COLORS), ("style", listed("standard, plus, pro, lite"))),
        (18, 150),
    ),
    Section(
        "Home",
        "Decor",
        listed("curtains, rug, lamp, vase, clock, mirror, wreath"),
        listed(
            "bohemian, geometric, abstract, coastal, nordic, botanical, fringed, gothic, "
            "tropical, baroque, moroccan, macrame"
        ),
        listed("hand painted, fade resistant, easy to install, non slip, eco friendly, battery powered"),
        listed("wood frame, brass accents, tassel trim, matte finish"),
        (("color", COLORS), ("size", FOUR_SIZES)),
        (14, 90),
    ),
    Section(
        "Outdoors",
        "Camping and Sport",
        listed("tent, cooler, dumbbells, hammock, helmet, kayak, trampoline"),
        listed(
            "alpine, inflatable, folding, camo, hexagonal, tandem, junior, touring, expedition, "
            "arctic, lakeside, popup"
        ),
        listed("wind proof, high density, quick release, rust proof, ultra light, uv resistant"),
        listed("steel frame, storage bag, reflective strips, padded handles"),
        (("color", COLORS), ("size", FOUR_SIZES)),
        (20, 160),
    ),
    Section(
        "Pets",
        "Pet Supplies",
        listed("leash, collar, harness, crate, kennel, scratcher, aquarium"),
        listed(
            "braided, padded, wooden, tactical, tartan, wicker, rolled, acrylic, heavyweight, "
            "plush, paracord, checkered"
        ),
        listed("chew resistant, odor free, tear proof, escape proof, no pull, washable"),
        listed("metal buckle, name tag, cushion insert, swivel clip"),
        (("color", COLORS), ("size", FOUR_SIZES)),
        (9, 70),
    ),
    Section(
        "Kids",
        "Toys and Nursery",
        listed("stroller, puzzle, doll, playpen, rattle, crib, scooter"),
        listed(
            "jungle, princess, dinosaur, rainbow, space, ocean, circus, unicorn, safari, pirate, robot, fairy"
        ),
        listed("non toxic, easy to fold, age appropriate, soft touch, battery free, splash proof"),
        listed("rounded corners, safety lock, gift box, bell sounds"),
        (("color", COLORS), ("style", listed("classic, deluxe, starter, premium"))),
        (12, 120),
    ),
)

# Nouns that take no article: plural ones and those that are not counted.
PLURAL = frozenset(
    kind
    for section in SECTIONS
    for kind in section.types
    if kind.endswith("s") and kind not in ("mattress", "harness")
)
UNCOUNTED = PLURAL | frozenset(listed("granola, popcorn, jerky, coffee, tea, lemonade, kombucha, shampoo"))
