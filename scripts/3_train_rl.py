"""Step 3: the same as `affine rl`, as a file for torchrun and accelerate launch."""

from affine_trainer.cli import main

main(["rl"])
