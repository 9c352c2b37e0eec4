"""What a player of BabyAI is told before the first observation."""

RULES = """You move through walled rooms and see only what lies in front of you. Reach the goal given. \
Each turn, answer with one action:
- turn left | turn right | move forward
- go to <name> <n>: walk to something in view and face it; a name is colour and thing, as in red ball, and \
a door's says its state, as in blue closed door
- pickup <name> <n>: walk to a ball, box or key and take it; you carry one thing
- drop: put it down in front of you
- go through <colour> open door <n>
- toggle and go through <colour> closed door <n>, or locked door if you carry its key, of the same colour
- toggle: open the door right before you
- check available actions
The number n tells things of one name apart, the nearest is 1. Walks stop at what blocks them.
To go to a thing is to stand beside it, facing it. A goal to open a door is met by toggle, before the door; \
going through at once spoils it. To put A next to B, carry A, face a free cell beside B, drop. \
"A, and B" means A first. "A and B" without a comma: do B first.
The score is higher the fewer steps you walk."""

RULES_SHORT = (
    "Reach the goal: turn left, turn right, move forward, go to X, pickup X, drop, toggle, go through X."
)
