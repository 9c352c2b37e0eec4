"""Whether what a model learns from has anything to do with what it is judged by."""
