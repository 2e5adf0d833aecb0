"""Service levels: the freshness a dataset promises, how often it is due, and how long it is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from open_data_contract_standard.model import ServiceLevelAgreementProperty

from crossdock.contracts.agreement import AT_CHANGES
from crossdock.contracts.documents import Document
from crossdock.contracts.durations import iso_of, number_of, seconds_of, unit_seconds
from crossdock.contracts.model import Rule
from crossdock.contracts.names import Here
from crossdock.contracts.rules import Rules
from crossdock.contracts.schedules import PRESETS, is_schedule
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean

_EVERY = {3600: "@hourly", 86_400: "@daily", 604_800: "@weekly", 2_678_400: "@monthly", 31_622_400: "@yearly"}
_SHORT = {"ly": "latency", "fy": "frequency", "re": "retention", "er": "errorrate"}  # ODCS's synonyms
_JUDGED = ("freshness", "latency", "frequency", "retention")
# What these promise of the rows, no service level says exactly enough to be judged: quality rules do.
_OF_ROWS = frozenset(
    {"accuracy", "completeness", "conformity", "consistency", "coverage", "duplicates", "errorrate", "nullvalues",
     "quality", "rowcount", "timeliness", "uniqueness", "validity", "volume"}
)  # fmt: skip


def service_rules(
    rules: Rules, levels: Sequence[ServiceLevelAgreementProperty], default: str | None, here: Here
) -> None:
    """Adds the freshness that service levels promise; those that are about servers or support are for people.

    One that is about the rows but can't be judged is a problem, and so is a name that is nearly one that can.

    Args:
        rules: takes them.
        levels: as written.
        default: the element that a level without one is about.
        here: how the table and its columns may be named.
    """
    for index, level in enumerate(levels):
        at: Steps = ("slaProperties", index)
        word = _word(level)
        element = level.element or default or ""
        _check_word(rules.document, at, level.property or "", word)
        if word in ("freshness", "latency"):
            columns = list(here.columns(element))
            seconds = seconds_of(level.value, level.unit)
            if seconds is None:
                fix = "Write for example `value: 30, unit: d`."
                rules.document.report(at, f"The {word} needs a number above 0 and a unit.", fix)
            if not element:
                rules.document.report(at, f"The {word} names no column.", "Add `element: <schema>.<column>`.")
            for name in columns if seconds else ():
                args = {"max_age_seconds": seconds}
                rule = Rule(id=word, kind="freshness", columns=(name,), args=args, dimension="timeliness")
                rules.add(rule, at)


def _word(level: ServiceLevelAgreementProperty) -> str:
    plain = re.sub(r"[\W_]", "", level.property or "").lower()
    return _SHORT.get(plain, plain)


def _check_word(document: Document, at: Steps, word: str, plain: str) -> None:
    if plain in _OF_ROWS:
        what = f"crossdock can't judge the service level '{word}': it says nothing exact of the rows."
        document.report((*at, "property"), what, "Write it as `quality` of the table or of a property.")
    elif plain not in _JUDGED and (near := get_close_matches(plain, _JUDGED, n=1, cutoff=0.8)):
        document.report((*at, "property"), f"There is no service level '{word}'.", f"Did you mean '{near[0]}'?")


def retention_of(document: Document, levels: Sequence[ServiceLevelAgreementProperty], here: Here) -> str:
    """Returns how long the rows are kept, as an ISO 8601 duration; "" when nothing is said, or after noting why not."""
    found: set[str] = set()
    for index, level in enumerate(levels):
        if _word(level) != "retention" or (level.element and not list(here.columns(level.element))):
            continue
        length = iso_of(level.value, level.unit)
        if length is None:
            fix = "Write for example `value: 3, unit: y`, or `value: P3Y`; `mo` are months and `min` minutes."
            document.report(("slaProperties", index), "The retention needs a number above 0 and a unit.", fix)
        elif found and length not in found:
            document.report(("slaProperties", index), "Another retention has been stated before.", "Keep one of them.")
        else:
            found.add(length)
    return next(iter(found), "")


def schedule_of(document: Document, levels: Sequence[ServiceLevelAgreementProperty]) -> str | None:
    """Returns the cron expression or preset of the service level `frequency`; None for none, or after noting why."""
    for index, level in enumerate(levels):
        if _word(level) == "frequency":
            found = _schedule(level)
            if found is None:
                fix = "Write `value: 1, unit: d`, or a cron expression of five fields as `schedule`."
                document.report(("slaProperties", index), "This frequency can't be scheduled.", fix)
            return found
    return None


def _schedule(level: ServiceLevelAgreementProperty) -> str | None:
    if level.schedule:
        return level.schedule if is_schedule(level.schedule) else None
    word, number = str(level.value).lower(), number_of(level.value)
    if f"@{word}" in PRESETS:
        return f"@{word}"
    size = unit_seconds(level.unit)
    if number is None and (seconds := seconds_of(level.value, None)):
        size = max(each for each in (*_EVERY, 60) if seconds % each == 0) if seconds % 60 == 0 else None
        number = seconds / size if size else None
    if number is None or size is None or number != int(number):
        return None
    if number == 1 and size in _EVERY:
        return _EVERY[size]
    # Only a number that divides its cycle comes round evenly: "every 7 hours" would be 3 hours at midnight.
    cycle, form = {60: (60, "*/{} * * * *"), 3600: (24, "0 */{} * * *"), 86_400: (32, "0 0 */{} * *")}.get(
        size, (0, "")
    )
    whole = 1 <= number < cycle and (cycle % number == 0 or size == 86_400)
    return form.format(int(number)) if whole else None


def check_frequency(document: Document, at: Steps, text: str) -> None:
    """Notes a frequency of an agreement that is no schedule, nor on_change or once."""
    if text not in AT_CHANGES and not is_schedule(text):
        fix = f"Write on_change, once, a cron expression of five fields, or a preset. {did_you_mean(text, PRESETS)}"
        document.report(at, f"'{text}' can't be scheduled.", fix)
