"""Whatever answers a task: a model in this process, or a script."""
