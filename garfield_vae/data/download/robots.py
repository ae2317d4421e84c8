"""robots.txt as RFC 9309 reads it: the group for our name, and the longest rule that matches wins.

The standard library's reader takes the first rule and knows no wildcards; sites write both.
"""

from collections.abc import Iterator
from urllib.parse import unquote


class Robots:
    """What one host's robots.txt says to `agent`."""

    def __init__(self, text: str, agent: str):
        self.crawl_delay = 0.0  # seconds between two requests
        self._rules: list[tuple[str, bool]] = []  # (pattern, allowed)
        groups = list(_groups(text))
        ours = [rules for agents, rules in groups if agent.lower() in agents]
        for rules in ours or [rules for agents, rules in groups if "*" in agents]:
            for key, value in rules:
                if key == "crawl-delay":
                    self.crawl_delay = max(self.crawl_delay, _seconds(value))
                elif value:  # an empty Disallow forbids nothing
                    self._rules.append((unquote(value), key == "allow"))

    def allows(self, path: str) -> bool:
        """path: with its query, as it would be asked for."""
        path = unquote(path)
        matching = [(len(rule), allowed) for rule, allowed in self._rules if _matches(rule, path)]
        return max(matching, default=(0, True))[1]  # of two equally long, True (allow) is greater


def _groups(text: str) -> Iterator[tuple[set[str], list[tuple[str, str]]]]:
    """The groups of a file: the names each speaks to, and its rules."""
    agents: set[str] = set()
    rules: list[tuple[str, str]] = []
    for line in text.lstrip("\ufeff").splitlines():
        key, _, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "user-agent":
            if rules:
                yield agents, rules
                agents, rules = set(), []
            agents.add(value.partition("/")[0].strip().lower())
        elif agents and key in ("allow", "disallow", "crawl-delay"):
            rules.append((key, value))
    yield agents, rules


def _matches(rule: str, path: str) -> bool:
    """A rule is the beginning of a path; * stands for anything, $ for the path's end.

    Each piece between stars is looked for once, left to right: no rule can take longer than that.
    """
    to_end = rule.endswith("$")
    first, *rest = rule.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not to_end or path == first
    at = len(first)
    last = rest.pop() if to_end else ""
    for piece in rest:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return not to_end or (path.endswith(last) and len(path) - len(last) >= at)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return seconds if seconds > 0 else 0.0  # NaN too counts as nothing said
