"""What the shop sells: for each section its types, styles, attributes, options and prices, in our own words."""

from __future__ import annotations

from typing import NamedTuple

COLORS = (
    *("black", "white", "red", "navy", "olive", "teal", "beige", "pink", "purple", "brown"),
    *("gray", "yellow", "sky blue", "lime green"),
)
CLOTHES = ("x-small", "small", "medium", "large", "x-large", "xx-large")
THREE_SIZES = ("small", "medium", "large", "x-large")
BEDS = ("twin", "full", "queen", "king")
PACKS = ("pack of 1", "pack of 2", "pack of 4", "pack of 6", "pack of 12")
OUNCES = ("4 ounce", "6 ounce", "8 ounce", "12 ounce", "16 ounce")
INCHES = ("18 inch", "20 inch", "24 inch", "28 inch", "32 inch")


class Section(NamedTuple):
    """One shelf. `before` attributes are said before the noun, `after` ones with "with"; prices in dollars."""

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
        ("shirt", "blouse", "sweater", "hoodie", "cardigan", "jacket", "pullover"),
        ("striped", "plaid", "floral", "denim", "ribbed", "quilted", "corduroy", "linen", "cropped", "batik", "crochet", "tweed"),
        ("machine washable", "slim fit", "loose fit", "quick drying", "long sleeve", "short sleeve"),
        ("button closure", "side pockets", "soft lining", "stretch fabric"),
        (("color", COLORS), ("size", CLOTHES)),
        (15, 60),
    ),
    Section(
        "Clothing",
        "Bottoms",
        ("pants", "shorts", "skirt", "leggings", "jeans", "joggers", "overalls"),
        ("pleated", "cargo", "tapered", "flared", "checked", "fleece", "twill", "distressed", "velour", "paisley", "stonewashed", "tiered"),
        ("wrinkle free", "high waist", "straight leg", "wide leg", "hand washable", "moisture wicking"),
        ("elastic waist", "drawstring closure", "zipper pockets", "tummy control"),
        (("color", COLORS), ("size", CLOTHES)),
        (15, 60),
    ),
    Section(
        "Clothing",
        "Shoes",
        ("sneakers", "sandals", "boots", "loafers", "slippers", "clogs", "moccasins"),
        ("canvas", "suede", "woven", "chunky", "perforated", "knitted", "leather", "glitter", "trail", "tasseled", "studded", "mid top"),
        ("slip resistant", "water resistant", "shock absorbing", "lace up", "open toe", "vegan friendly"),
        ("arch support", "memory foam", "rubber sole", "ankle strap"),
        (("color", COLORS), ("size", ("6", "7", "8", "9", "10", "11", "12"))),
        (20, 90),
    ),
    Section(
        "Clothing",
        "Bags",
        ("backpack", "tote", "wallet", "duffel", "suitcase", "satchel", "purse"),
        ("nylon", "waxed", "embroidered", "structured", "beaded", "hardshell", "slouchy", "retro", "mesh", "pleather", "pebbled", "convertible"),
        ("carry on", "light weight", "scratch resistant", "anti theft", "rain proof", "roomy"),
        ("adjustable strap", "laptop sleeve", "hidden compartment", "magnetic closure"),
        (("color", COLORS), ("size", INCHES)),
        (20, 110),
    ),
    Section(
        "Beauty",
        "Skin and Hair",
        ("lotion", "shampoo", "conditioner", "serum", "cleanser", "sunscreen", "balm"),
        ("aloe", "argan", "oatmeal", "charcoal", "honey", "rosehip", "keratin", "chamomile", "jojoba", "calendula", "bergamot", "cucumber"),
        ("cruelty free", "paraben free", "sulfate free", "long lasting", "non greasy", "travel sized"),
        ("vitamin c", "hyaluronic acid", "tea tree", "shea butter"),
        (("scent", ("lavender", "vanilla", "citrus", "coconut", "rose", "unscented")), ("size", OUNCES)),
        (8, 40),
    ),
    Section(
        "Grocery",
        "Snacks",
        ("cookies", "crackers", "granola", "popcorn", "jerky", "pretzels", "truffles"),
        ("crunchy", "artisan", "mini", "multigrain", "smoked", "baked", "toasted", "chewy", "spiced", "frosted", "salted", "golden"),
        ("gluten free", "sugar free", "keto friendly", "non gmo", "low sodium", "dairy free"),
        ("high protein", "sea salt", "whole grain", "natural ingredients"),
        (
            ("flavor name", ("cheddar", "maple", "cinnamon", "peanut butter", "lemon", "chili lime")),
            ("size", PACKS),
        ),
        (8, 35),
    ),
    Section(
        "Grocery",
        "Drinks",
        ("coffee", "tea", "lemonade", "kombucha", "smoothie", "soda", "cider"),
        ("sparkling", "herbal", "roasted", "iced", "cloudy", "instant", "frothy", "bold", "mellow", "chilled", "aged", "velvety"),
        ("caffeine free", "fair trade", "low calorie", "kosher certified", "fat free", "shelf stable"),
        ("added fiber", "live cultures", "real fruit", "no preservatives"),
        (
            ("flavor name", ("peach", "ginger", "mango", "hazelnut", "mint", "black cherry")),
            ("size", PACKS),
        ),
        (8, 35),
    ),
    Section(
        "Home",
        "Bedding",
        ("pillow", "blanket", "comforter", "sheets", "duvet", "quilt", "mattress"),
        ("bamboo", "cotton", "velvet", "waffle", "sherpa", "jacquard", "flannel", "sateen", "chenille", "percale", "ruffled", "knotted"),
        ("hypoallergenic", "super soft", "double sided", "all season", "extra thick", "breathable"),
        ("deep pockets", "cooling gel", "corner ties", "piped edges"),
        (("color", COLORS), ("size", BEDS)),
        (20, 120),
    ),
    Section(
        "Home",
        "Furniture",
        ("sofa", "bookcase", "nightstand", "recliner", "desk", "stool", "ottoman"),
        ("rustic", "tufted", "industrial", "farmhouse", "minimalist", "rattan", "colonial", "art deco", "cube", "lacquered", "scandinavian", "shabby chic"),
        ("easy assembly", "space saving", "heavy duty", "fully assembled", "stain resistant", "contemporary"),
        ("solid wood", "metal legs", "storage drawer", "cup holder"),
        (("color", COLORS), ("size", INCHES)),
        (60, 240),
    ),
    Section(
        "Home",
        "Kitchen",
        ("kettle", "blender", "skillet", "toaster", "mug", "tumbler", "colander"),
        ("enamel", "copper", "ceramic", "cast iron", "speckled", "hammered", "glazed", "ombre", "marbled", "fluted", "matte", "terracotta"),
        ("dishwasher safe", "bpa free", "non stick", "heat resistant", "leak proof", "easy to clean"),
        ("stainless steel", "glass lid", "wooden handle", "silicone grip"),
        (("color", COLORS), ("size", ("small", "medium", "large", "set of 2", "set of 4"))),
        (12, 80),
    ),
    Section(
        "Electronics",
        "Devices",
        ("headphones", "charger", "speaker", "keyboard", "webcam", "projector", "router"),
        ("gaming", "portable", "compact", "studio", "foldable", "vintage", "rugged", "slimline", "desktop", "modular", "smart", "executive"),
        ("noise cancelling", "fast charging", "plug and play", "hands free", "high speed", "dust proof"),
        ("carrying case", "volume control", "usb port", "led display"),
        (("color", COLORS), ("style", ("standard", "plus", "pro", "lite"))),
        (18, 150),
    ),
    Section(
        "Home",
        "Decor",
        ("curtains", "rug", "lamp", "vase", "clock", "mirror", "wreath"),
        ("bohemian", "geometric", "abstract", "coastal", "nordic", "botanical", "fringed", "gothic", "tropical", "baroque", "moroccan", "macrame"),
        ("hand painted", "fade resistant", "easy to install", "non slip", "eco friendly", "battery powered"),
        ("wood frame", "brass accents", "tassel trim", "matte finish"),
        (("color", COLORS), ("size", THREE_SIZES)),
        (14, 90),
    ),
    Section(
        "Outdoors",
        "Camping and Sport",
        ("tent", "cooler", "dumbbells", "hammock", "helmet", "kayak", "trampoline"),
        ("alpine", "inflatable", "folding", "camo", "hexagonal", "tandem", "junior", "touring", "expedition", "arctic", "lakeside", "popup"),
        ("wind proof", "high density", "quick release", "rust proof", "ultra light", "uv resistant"),
        ("steel frame", "storage bag", "reflective strips", "padded handles"),
        (("color", COLORS), ("size", THREE_SIZES)),
        (20, 160),
    ),
    Section(
        "Pets",
        "Pet Supplies",
        ("leash", "collar", "harness", "crate", "kennel", "scratcher", "aquarium"),
        ("braided", "padded", "wooden", "tactical", "tartan", "wicker", "rolled", "acrylic", "heavyweight", "plush", "paracord", "checkered"),
        ("chew resistant", "odor free", "tear proof", "escape proof", "no pull", "washable"),
        ("metal buckle", "name tag", "cushion insert", "swivel clip"),
        (("color", COLORS), ("size", THREE_SIZES)),
        (9, 70),
    ),
    Section(
        "Kids",
        "Toys and Nursery",
        ("stroller", "puzzle", "doll", "playpen", "rattle", "crib", "scooter"),
        ("jungle", "princess", "dinosaur", "rainbow", "space", "ocean", "circus", "unicorn", "safari", "pirate", "robot", "fairy"),
        ("non toxic", "easy to fold", "age appropriate", "soft touch", "battery free", "splash proof"),
        ("rounded corners", "safety lock", "gift box", "bell sounds"),
        (("color", COLORS), ("style", ("classic", "deluxe", "starter", "premium"))),
        (12, 120),
    ),
)

# Nouns that take no article: plural ones and those that are not counted.
UNCOUNTED = frozenset(
    kind
    for section in SECTIONS
    for kind in section.types
    if (kind.endswith("s") and kind not in ("mattress", "harness"))
    or kind in ("granola", "popcorn", "jerky", "coffee", "tea", "lemonade", "kombucha", "shampoo")
)

BRANDS = (
    *("Norvik", "Talloway", "Brenna", "Quillon", "Marlet", "Ostrava", "Pellow", "Juniva", "Hexham", "Corvane"),
    *("Lumeta", "Saffrel", "Wendel", "Dunmore", "Ravello", "Kestry", "Elmsby", "Tornio", "Vantel", "Oakrun"),
    *("Fennick", "Solvenna", "Mirado", "Gristow", "Aldane", "Piravo", "Zelmar", "Harbeck", "Cintrel", "Yarrow"),
)
EVERYDAY = ("everyday use", "home and travel", "busy days", "a friend or yourself", "all who like it simple")
REVIEWS = (
    ("Good value", 5, "As described, and it came on time."),
    ("Happy with it", 5, "Just what I was looking for."),
    ("Fine", 4, "Does what it should."),
    ("Nice", 4, "Looks better than in the picture."),
    ("Not bad", 3, "A little plain for the price."),
    ("Not for me", 2, "Sent it back, but that was easy."),
)
