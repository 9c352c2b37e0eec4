"""The environments: tasks posed as text and graded by a program."""
