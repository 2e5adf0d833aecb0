"""Who asks for many pages and reads none: robots, by what they call themselves."""

from __future__ import annotations

import re
from functools import cache, lru_cache

_TOOLS = "http-library"  # curl, pandas' and other libraries: with these analysts download


@lru_cache(maxsize=10_000)
def is_robot(agent: str) -> bool:
    """Returns whether a program is a robot, by the list that the project crawler-user-agents keeps; without a name it is."""
    return not agent.strip(" -") or any(pattern.search(agent) for pattern in _patterns())


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    known = [each["pattern"] for each in CRAWLER_USER_AGENTS_DATA if _TOOLS not in each.get("tags", [])]
    return tuple(re.compile("|".join(known[start : start + 100])) for start in range(0, len(known), 100))
