"""What a player is told before the first observation, in our own words."""

from __future__ import annotations

RULES = """\
You are in a room of a house and have a household task to do. You see what lies in or on a receptacle only \
when you stand before it, and inside a closed one only after opening it. You can carry one object at a time. \
Objects and receptacles have a name and a number, as in "mug 2" or "cabinet 1"; write them exactly so.

Actions, with O an object and R a receptacle:
go to R
open R
close R
take O from R
move O to R (or: put O in/on R)
clean O with R (a sinkbasin)
heat O with R (a microwave)
cool O with R (a fridge)
use O (turns on a lamp)
slice O with K (a knife that you hold)
examine O (or R)
inventory
look

You must stand at R to act on it, and hold O to move, clean, heat or cool it. To look at something under a \
lamp, hold it where the lamp is and use the lamp. Two things must end up in the same receptacle. An action \
that is not possible is answered with "Nothing happens." and still costs a turn.

Each turn, write one line "Thought:" with your reasoning, then one line "Action:" with one action."""

RULES_SHORT = "Do the task: go to, open, take O from R, move O to R, clean/heat/cool O with R, use O."
