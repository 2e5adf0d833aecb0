"""The pages' two languages: which one a reader wants, and how it stays with them from page to page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from crossdock.language.speech import LANGUAGES, Language, Speech


def preferred(asked: str | None, accepted: str | None) -> Language:
    """Returns the language that the address asks for, else the first that the browser accepts, else Chinese.

    >>> preferred(None, "fr, en-GB;q=0.8, zh;q=0.5")
    'en'
    """
    parts = (part.partition(";")[0].strip().partition("-")[0].lower() for part in (accepted or "").split(","))
    wanted = (asked, *parts) if asked in LANGUAGES else parts
    return next((language for each in wanted for language in LANGUAGES if language == each), LANGUAGES[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Words(Speech):
    """What a template says things and makes links with; `root` is where the pages are mounted."""

    root: str
    path: str
    query: Mapping[str, str]

    def link(self, path: str, **query: str | None) -> str:
        """Returns the address of a page in the same language."""
        given = {name: value for name, value in query.items() if value}
        return f"{self.root}/{quote(path)}?{urlencode(given | {'lang': self.language})}"

    def asset(self, name: str) -> str:
        """Returns the address of style, script or library: the same in every language, so that it is fetched once."""
        return f"{self.root}/static/{name}"

    def here(self, **changes: str | None) -> str:
        """Returns the address of this page with some of its query changed; None leaves one out."""
        query = {name: value for name, value in {**self.query, **changes}.items() if value}
        return f"{self.root}/{quote(self.path)}?{urlencode(query)}"
