"""Step 1: the same as `affine collect`, as a file for torchrun and accelerate launch."""

from affine_trainer.cli import main

main(["collect"])
