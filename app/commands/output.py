"""Print results as text or JSON; NaN and infinity become null, which JSON has no words for."""

from __future__ import annotations

import json
import math
from typing import Any


def clean(value: Any) -> Any:
    """Return the value with every number that JSON cannot carry replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if hasattr(value, "tolist"):
        return clean(value.tolist())
    return value


def print_json(value: Any) -> None:
    """Print one JSON document on one line."""
    print(json.dumps(clean(value), allow_nan=False))
