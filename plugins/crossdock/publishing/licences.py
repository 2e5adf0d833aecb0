"""Licences of open data: what the identifier in a publication is called and where its text is."""

from __future__ import annotations

from dataclasses import dataclass

_KNOWN = {
    "CC-BY-4.0": ("Creative Commons Attribution 4.0 International", "https://creativecommons.org/licenses/by/4.0/"),
    "CC-BY-SA-4.0": (
        "Creative Commons Attribution-ShareAlike 4.0 International",
        "https://creativecommons.org/licenses/by-sa/4.0/",
    ),
    "CC0-1.0": ("Creative Commons Zero 1.0 Universal", "https://creativecommons.org/publicdomain/zero/1.0/"),
    "ODC-By-1.0": ("Open Data Commons Attribution 1.0", "https://opendatacommons.org/licenses/by/1-0/"),
    "ODbL-1.0": ("Open Data Commons Open Database License 1.0", "https://opendatacommons.org/licenses/odbl/1-0/"),
    "PDDL-1.0": ("Open Data Commons Public Domain Dedication 1.0", "https://opendatacommons.org/licenses/pddl/1-0/"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence by its SPDX identifier."""

    id: str
    title: str
    url: str

    def text(self) -> str:
        """Returns what LICENCE.txt says."""
        return f"{self.title}\nSPDX-License-Identifier: {self.id}\n{self.url}\n"


def licence(identifier: str) -> Licence:
    """Returns a licence by its SPDX identifier; of one that is not well known, SPDX's own page."""
    title, url = _KNOWN.get(identifier, (identifier, f"https://spdx.org/licenses/{identifier}.html"))
    return Licence(id=identifier, title=title, url=url)
