"""How the embedded model is made: its pretraining text, its tokenizer, its training loop."""
