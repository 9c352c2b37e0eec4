"""The five verbs, one file each: collect, sft, rl, evaluate, compare; none imports another."""
