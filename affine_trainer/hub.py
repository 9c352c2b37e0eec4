"""What the model and data-set hub's client raises when the hub cannot be reached."""

from __future__ import annotations

from functools import cache


@cache
def hub_http_error() -> type[Exception]:
    """The base error of the HTTP library beneath the hub's client, which differs between its versions."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
