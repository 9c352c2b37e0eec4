"""Names and sentences that make a product: brands, uses and reviews, all invented."""

from __future__ import annotations

from affine_trainer.envs.webshop.shelves import listed

BRANDS = listed(
    "Norvik, Talloway, Brenna, Quillon, Marlet, Ostrell, Pellow, Juniva, Hexley, Corvane, "
    "Lumeta, Saffrel, Wendel, Dunmore, Ravello, Kestry, Elmsby, Tornio, Vantel, Oakrun, "
    "Fennick, Solvenna, Mirado, Gristow, Aldane, Piravo, Zelmar, Harbeck, Cintrel, Yarrow"
)
USES = listed("everyday use, home and travel, busy days, a friend or yourself, all who like it simple")
REVIEWS = (
    ("Good value", 5, "As described, and it came on time."),
    ("Happy with it", 5, "Just what I was looking for."),
    ("Fine", 4, "Does what it should."),
    ("Nice", 4, "Looks better than in the picture."),
    ("Not bad", 3, "A little plain for the price."),
    ("Not for me", 2, "Sent it back, but that was easy."),
)
