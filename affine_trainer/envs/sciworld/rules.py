"""What a player of the science tasks is told before the first observation, in our own words."""

from __future__ import annotations

RULES = """\
You do an experiment in a house with a kitchen, a bathroom, a workshop, a greenhouse and more, and a yard \
outside. You see a room only when you look around in it. The task says what to reach and what to focus on.

Actions, with X and Y the names of things or rooms as you see them:
look around | look at X | look in X | examine X | read X | inventory | task
open X | close X | go to X (a room next door, through an open door)
pick up X | put down X | move X to Y
pour X into Y | dunk X into Y | mix X (a container)
activate X | deactivate X (a device) | use X on Y | use X
connect X to Y | disconnect X (ends are named "battery anode" or "red wire terminal 1")
focus on X: says that X is what the task asks for; on a wrong thing it ends the task with -100
eat X | flush X | wait (10 ticks) | wait1 (1 tick) | reset task

Heating, cooling and growing take ticks. A name that fits several things is answered with a numbered list: \
answer with the number alone. The score goes from 0 to 100 with the steps of the task that are done.

Each turn, write one line "Thought:" with your reasoning, then one line "Action:" with one action."""

RULES_SHORT = (
    "Do the task: look around, open X, go to X, pick up X, move X to Y, use X on Y, focus on X, wait."
)
