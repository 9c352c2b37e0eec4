"""affine: take a base language model to a proven better one, on one machine."""

__version__ = "0.1.0"
