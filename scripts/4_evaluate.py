"""Step 4: the same as `affine eval`, as a file for torchrun and accelerate launch."""

from affine_trainer.cli import main

main(["eval"])
