"""What a player of BabyAI is told before the first observation."""

RULES = ""
RULES_SHORT = ""
