"""Reads and checks the fields of a request's JSON object.

Every function raises BadRequest, with a sentence, for anything else.
"""

from flask import request

from garfield_vae.explorer.states import BadRequest
from garfield_vae.util.console import exact


def body() -> dict:
    """The request's JSON object. Raises BadRequest when it is none."""
    try:
        value = request.get_json(silent=True)  # None where it is damaged
    except RecursionError:
        value = None
    if not isinstance(value, dict):
        raise BadRequest("the request's body is a JSON object")
    return value


def number(asked: dict, name: str, low: float, high: float, default: float | None = None) -> float:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadRequest(f"{name} is a number from {exact(low)} to {exact(high)}")
    return float(value)


def whole(asked: dict, name: str, low: int, high: int, default: int | None = None) -> int:
    value = number(asked, name, low, high, default)
    if value != int(value):
        raise BadRequest(f"{name} is a whole number")
    return int(value)


def text(asked: dict, name: str, default: str) -> str:
    value = asked.get(name, default)
    if not isinstance(value, str) or len(value) > 64:
        raise BadRequest(f"{name} is a text of at most 64 characters")
    return value
