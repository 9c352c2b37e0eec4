"""Step 2: the same as `affine sft`, as a file for torchrun and accelerate launch."""

from affine_trainer.cli import main

main(["sft"])
