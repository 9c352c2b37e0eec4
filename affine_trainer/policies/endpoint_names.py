"""What an `endpoint.url` means, and the name of what is served there; imports no HTTP library."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from affine_trainer.errors import AffineError


def endpoint_address(url: str) -> str:
    """The address that `/chat/completions` is put behind; `/v1` where the URL names no path.

    AffineError for what is no address, and for one that holds a password or a query, which would be written
    into every record.
    """
    try:
        parts = urlsplit(url.strip())
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known, parts = False, urlsplit("")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise AffineError(
            "endpoint.url holds a user, a password or a query: leave them out, and put the key into the "
            "environment variable that endpoint.key_variable names"
        )
    if not known:
        raise AffineError(f"endpoint.url: {url!r} is no address; write one like http://localhost:8000/v1")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def endpoint_label(url: str, model: str) -> str:
    """The folder name of a served model's evaluation: `Qwen-Qwen3-4B-at-localhost-8000`."""
    host = urlsplit(endpoint_address(url)).netloc
    return "-at-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in (model, host))
