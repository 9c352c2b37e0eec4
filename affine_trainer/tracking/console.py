"""Plain sentences for the person at the console."""

from __future__ import annotations

import rich


def say(text: str) -> None:
    """Print it as it stands: no markup, no colours for numbers, no wrapping, so that paths stay whole."""
    rich.get_console().print(text, soft_wrap=True, highlight=False, markup=False)
