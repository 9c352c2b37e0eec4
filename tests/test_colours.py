"""Colours of models: constant, told apart, and readable on both pages."""

from affine_trainer.colours import KNOWN, OTHERS, model_looks

LIGHT, DARK = "#ffffff", "#11151a"


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_is_readable_on_the_light_and_on_the_dark_page():
    assert {c: (contrast(c, LIGHT), contrast(c, DARK)) for c in (*KNOWN.values(), *OTHERS)
            if min(contrast(c, LIGHT), contrast(c, DARK)) < 3} == {}  # fmt: skip


def test_a_model_looks_the_same_whatever_it_is_shown_with():
    names = [f"models-mine-{number}" for number in range(40)]
    alone = {name: model_looks([name])[name] for name in names}
    assert all(model_looks([name, "base", "rl"])[name] == alone[name] for name in names)
    assert model_looks(["one/mine", "two/mine"])["two/mine"] == model_looks(["mine"])["mine"]
    assert len({look.colour for look in alone.values()}) == len(OTHERS)


def test_models_of_one_page_differ_as_long_as_there_are_colours():
    for first in range(20):
        names = [f"model-{first + number}" for number in range(len(OTHERS))]
        assert len({look.colour for look in model_looks(names).values()}) == len(OTHERS)


def test_known_models_keep_their_look_whatever_else_is_shown():
    alone, among = model_looks(["rl"]), model_looks(["another", "base", "one/rl", "rl", "zeta"])
    assert among["rl"] == among["one/rl"] == alone["rl"]
    assert len({look.colour for label, look in among.items() if label != "one/rl"}) == 4
