"""Reinforcement learning in plain torch, and the one file that puts it on TRL's trainer."""
