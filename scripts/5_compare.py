"""Step 5: the same as `affine compare`, as a file for torchrun and accelerate launch."""

from affine_trainer.cli import main

main(["compare"])
