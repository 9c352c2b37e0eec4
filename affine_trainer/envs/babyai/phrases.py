"""What the expert says it thinks, by what it is about to do."""

THOUGHTS: dict[str, tuple[str, ...]] = {
    "reach": ("I see {thing}; I go to it.", "{thing} is in reach, so I go there.", "Next I go to {thing}."),
    "take": ("I need {thing}; I pick it up.", "{thing} is what I want to carry.", "Next I pick up {thing}."),
    "open": ("I have to open {thing}.", "The goal wants {thing} open.", "Next I open {thing}."),
    "put": ("I put what I carry next to {thing}.", "I carry it to {thing}.", "It belongs next to {thing}."),
    "key": (
        "{thing} is locked; I need its key.",
        "First the key for {thing}.",
        "I fetch the key of {thing}.",
    ),
    "unlock": ("I have the key of {thing}.", "I unlock {thing} with my key.", "My key opens {thing}."),
    "clear": ("{thing} is in the way.", "I move {thing} aside first.", "{thing} blocks my way."),
    "drop": (
        "I need free hands; I put this down.",
        "I do not need this now.",
        "I set this down out of the way.",
    ),
    "explore": (
        "I do not see {thing} yet; I look around.",
        "I still have to find {thing}.",
        "{thing} is not in sight; I explore.",
    ),
    "lost": ("I see no way on; I look around.", "I am stuck, so I try this.", "I try something else."),
}
