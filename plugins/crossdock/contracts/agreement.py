"""What an agreement is inside crossdock: small frozen values, no YAML and no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from crossdock.contracts.model import Column
from crossdock.language.speech import ENGLISH, Speech

APPROVED = frozenset({"approved", "active"})
REQUESTED = "requested"  # in force once its provider has approved it (see `reviews`)
Channel = str  # name of a module in crossdock.delivery.channels, or "open" for a publication
Mode = Literal["full", "changes"]
ON_CHANGE = "on_change"  # the frequency of what is served whenever there is something new
ONCE = "once"  # of what is served one time under each version of its agreement
AT_CHANGES = frozenset({ON_CHANGE, ONCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What happens to one column before it leaves.

    mask: keep_first / keep_last characters, the rest become `*`. pseudonymise: keyed hash, other per consumer.
    generalise: to ("year" | "month" for dates; a number = band width; "prefix:<n>" for codes). dummy: a value that looks
    like it and is none. drop: the value is null. strict: a text that a prefix would leave whole is null.
    """

    kind: Literal["mask", "pseudonymise", "generalise", "dummy", "drop"]
    keep_first: int = 0
    keep_last: int = 0
    to: str = ""
    strict: bool = False

    def in_words(self, speech: Speech = ENGLISH) -> str:
        """Returns what it does, for people."""
        kind = speech.state(self.kind)
        if self.kind == "mask":
            chinese = f"{kind}（保留前 {self.keep_first} 位和后 {self.keep_last} 位）"
            return speech.say(chinese, f"{kind} (first {self.keep_first} and last {self.keep_last} characters kept)")
        if self.kind == "generalise":
            return speech.say(f"{kind}（到{_in_chinese(self.to)}）", f"{kind} (to {self.to})")
        return kind


def _in_chinese(to: str) -> str:
    """Returns to what a value is generalised: years or months, so many characters, or bands of a width."""
    word, _, characters = to.partition(":")
    return {"year": "年", "month": "月", "prefix": f"前 {characters} 位"}.get(word, f"宽 {to} 的区间")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySpec:
    """How an agreement's data travels.

    `options` are the channel's own: table for database; path and format for bucket, folder and sftp; path for webhook.
    """

    channel: Channel
    connection: str = ""
    mode: Mode = "full"
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def form(self) -> str:
        """The format of the delivered files: a web service reads JSON lines."""
        return str(self.options.get("format") or ("jsonl" if self.channel == "webhook" else "parquet"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Which consumer may receive which columns and rows of one dataset, why, until when, and how.

    `id` is "<department>/<dataset>/<consumer>". A publication has consumer "public".
    """

    id: str
    dataset: str  # contract id
    provider: str
    consumer: str
    version: str
    status: str  # only "approved" (or ODCS-style "active") allows deliveries
    purpose: str
    legal_basis: str
    start: datetime
    end: datetime
    columns: tuple[str, ...]
    rows: str = ""  # row filter, source text; "" = all rows
    protect: Mapping[str, Protection] = field(default_factory=dict)
    unprotected: Mapping[str, str] = field(
        default_factory=dict
    )  # sensitive column -> the article that lets it leave clear
    delivery: DeliverySpec = field(default_factory=lambda: DeliverySpec(channel="open"))
    requested_on: date | None = None  # the day a request was made; its clocks run from there
    frequency: str = ON_CHANGE  # on_change, once, or a cron expression or preset: at most once for each of its times
    data_life: str = ""  # ISO 8601 duration after which the consumer deletes
    licence: str = ""  # publications only
    usage: str = ""  # how it may be used, and how not, for people
    limitations: str = ""
    withheld_until: date | None = None  # until this day (not included) the people concerned are not told, by law
    withheld_basis: str = ""  # that law
    digest: str = ""
    path: Path = Path()

    @property
    def is_publication(self) -> bool:
        """True for the agreement with the public."""
        return self.consumer == "public"

    @property
    def is_keyed(self) -> bool:
        """True when what leaves depends on the consumer's pseudonym key."""
        return any(protection.kind in ("pseudonymise", "dummy") for protection in self.protect.values())

    def exposed(self, columns: Mapping[str, Column]) -> tuple[str, ...]:
        """Returns the sensitive columns that would leave as they are, with no legal basis of their own.

        A publication has a stricter rule: what is not public does not leave.
        """
        if self.is_publication:
            return ()
        excused = self.protect.keys() | self.unprotected.keys()
        return tuple(n for n in self.columns if n not in excused and n in columns and columns[n].is_sensitive)
