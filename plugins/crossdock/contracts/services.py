"""Service levels: the freshness a dataset promises, and how often it is due."""

from __future__ import annotations

import re
from collections.abc import Sequence

from croniter import croniter
from open_data_contract_standard.model import ServiceLevelAgreementProperty

from crossdock.contracts.documents import Document
from crossdock.contracts.model import ON_CHANGE, Rule
from crossdock.contracts.names import Here
from crossdock.contracts.rules import Rules
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 604_800),
    **dict.fromkeys(("mo", "month", "months"), 2_678_400),
    **dict.fromkeys(("y", "yr", "year", "years"), 31_622_400),
}
_EVERY = {3600: "@hourly", 86_400: "@daily", 604_800: "@weekly", 2_678_400: "@monthly", 31_622_400: "@yearly"}
_DURATION = re.compile(r"P(?=[\dT])(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_LONGEST = 100 * 31_622_400  # an age beyond a century is a slip of the pen


def is_schedule(text: str) -> bool:
    """True for a cron expression of five fields or one of PRESETS."""
    return text in PRESETS or (len(text.split()) == 5 and croniter.is_valid(text))


def service_rules(
    rules: Rules, levels: Sequence[ServiceLevelAgreementProperty], default: str | None, here: Here
) -> None:
    """Adds the freshness that service levels promise; the others are not about the rows of an extract.

    Args:
        rules: takes them.
        levels: as written.
        default: the element that a level without one is about.
        here: how the table and its columns may be named.
    """
    for index, level in enumerate(levels):
        at: Steps = ("slaProperties", index)
        word = (level.property or "").lower()
        element = level.element or default or ""
        # A latency without a column is about the way data takes, which no extract shows.
        if word == "freshness" or (word == "latency" and element):
            columns = list(here.columns(element))
            seconds = _age(level)
            if seconds is None:
                fix = "Write for example `value: 30, unit: d`."
                rules.document.report(at, f"The {word} needs a number above 0 and a unit.", fix)
            if not element:
                rules.document.report(at, f"The {word} names no column.", "Add `element: <schema>.<column>`.")
            for name in columns if seconds else ():
                args = {"max_age_seconds": seconds}
                rule = Rule(id=word, kind="freshness", columns=(name,), args=args, dimension="timeliness")
                rules.add(rule, at)


def _age(level: ServiceLevelAgreementProperty) -> int | None:
    """Returns an age in seconds from a number and its unit, or from an ISO 8601 duration."""
    value = level.value
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        parts = zip(found.groups(), (604_800, 86_400, 3600, 60, 1), strict=True)
        seconds: float = sum(int(number[:12]) * size for number, size in parts if number)
    else:
        unit = _SECONDS.get((level.unit or "").lower())
        number = _number(value)
        seconds = number * unit if number is not None and unit else 0
    return int(seconds) if 1 <= seconds <= _LONGEST else None


def _number(value: object) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}(\.\d{1,6})?", value):
        return float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def schedule_of(document: Document, levels: Sequence[ServiceLevelAgreementProperty]) -> str | None:
    """Returns the cron expression or preset of the service level `frequency`; None for none, or after noting why."""
    for index, level in enumerate(levels):
        if (level.property or "").lower() == "frequency":
            found = _schedule(level)
            if found is None:
                fix = "Write `value: 1, unit: d`, or a cron expression of five fields as `schedule`."
                document.report(("slaProperties", index), "This frequency can't be scheduled.", fix)
            return found
    return None


def _schedule(level: ServiceLevelAgreementProperty) -> str | None:
    if level.schedule:
        return level.schedule if is_schedule(level.schedule) else None
    word, number = str(level.value).lower(), _number(level.value)
    if f"@{word}" in PRESETS:
        return f"@{word}"
    size = _SECONDS.get((level.unit or "").lower())
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
    """Notes a frequency of an agreement that is neither on_change nor a schedule."""
    if text != ON_CHANGE and not is_schedule(text):
        fix = f"Write on_change, a cron expression of five fields, or a preset. {did_you_mean(text, PRESETS)}"
        document.report(at, f"'{text}' can't be scheduled.", fix)
