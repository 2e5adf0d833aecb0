"""Who sees what: everything, or what one department provides and receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossdock.errors import WrongUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a viewer may see: all of it (None), or what concerns one department."""

    department: str | None = None
    user: str = ""
    looks_up: bool = False  # may ask who received somebody's records

    def of(self, *parties: str) -> bool:
        """Returns whether something between these departments may be seen."""
        return self.department is None or self.department in parties

    def party(self, asked: str) -> str | None:
        """Returns whose view to show: the viewer's own department, else the one asked for, else everybody's (None)."""
        return self.department or asked or None


def departments_of(setting: str) -> Mapping[str, str]:
    """Reads who belongs to a department, "user:department,user:department".

    Raises:
        WrongUse: it says something else. Whoever it was meant for must not see everything instead.
    """
    found = {}
    for item in filter(None, (each.strip() for each in setting.split(","))):
        user, _, department = (part.strip() for part in item.rpartition(":"))
        if not user or not department:
            raise WrongUse(
                "A user's department is written as user:department.",
                where="airflow.cfg, [crossdock] department_users",
                fix="Separate several by commas.",
            )
        found[user] = department
    return found
