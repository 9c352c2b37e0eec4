"""The interactive environments: played in turns, one text action a turn."""
