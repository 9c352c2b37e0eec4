"""Whether a model's folder would pass as a miner's repository, as far as that shows offline."""
