"""Reads an agreement: Open Access Agreement Standard, with how crossdock enforces it in one custom property."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from crossdock.contracts.agreement import REQUESTED, Agreement, DeliverySpec, Protection
from crossdock.contracts.documents import Document, demanded, read_document
from crossdock.contracts.durations import later
from crossdock.contracts.model import Column, Contract
from crossdock.contracts.oaas_form import AccessAgreement, Protect, Terms, Whole
from crossdock.contracts.rows import parse as parse_rows
from crossdock.contracts.services import check_frequency
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import RowFilterInvalid, did_you_mean
from crossdock.identity import content_id

SUFFIX = ".oaas.yaml"
PUBLIC = "public"
CHANNELS = frozenset(p.stem for p in (Path(__file__).parents[1] / "delivery" / "channels").glob("*.py")) - {
    "__init__",
    "channel",
}
STATUSES = ("draft", REQUESTED, "approved", "rejected", "suspended", "retired")
_LATEST = 9000  # year: what runs from then on still ends within the calendar
_DURATION = re.compile(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?")


def read_agreement(path: Path, contract: Contract) -> Agreement:
    """Reads one agreement file beside its contract and checks it against that contract.

    Raises:
        ContractInvalid: the file is wrong; it holds every problem that was found.
    """
    document, header, at, terms = _read_terms(path)
    agreement = _agreement(document, header, terms, contract)
    _check_header(document, header, agreement)
    _check_terms(document, at, agreement, contract)
    document.raise_problems()
    return agreement


def check_form(path: Path) -> None:
    """Checks what can be said of an agreement file without its contract.

    Raises:
        ContractInvalid: its form is wrong.
    """
    _read_terms(path)[0].raise_problems()


def terms_place(path: Path) -> Steps:
    """Returns where in a sound agreement file the `crossdock` property's value stands."""
    return _read_terms(path)[2]


def _read_terms(path: Path) -> tuple[Document, AccessAgreement, Steps, Terms]:
    document = read_document(path)
    header = demanded(document, AccessAgreement, document.data)
    places = [index for index, entry in enumerate(header.custom) if entry.property == "crossdock"]
    if len(places) != 1:
        document.report(
            ("customProperties",),
            f"The agreement has {len(places)} `crossdock` properties, not one.",
            "One lists columns, legal basis and delivery.",
        )
        raise document.invalid()
    at: Steps = ("customProperties", places[0], "value")
    return document, header, at, demanded(document, Terms, header.custom[places[0]].value, at)


def _agreement(document: Document, header: AccessAgreement, terms: Terms, contract: Contract) -> Agreement:
    delivery = terms.delivery
    consumer = document.path.name.removesuffix(SUFFIX)
    return Agreement(
        id=f"{contract.id}/{consumer}",
        dataset=contract.id,
        provider=header.provider.department,
        consumer=consumer,
        version=header.version,
        status=header.status,
        purpose=header.description.purpose,
        legal_basis=terms.legal_basis,
        start=header.start,
        end=header.end,
        columns=terms.columns,
        rows=terms.rows,
        protect={name: _protection(given) for name, given in terms.protect.items()},
        unprotected=terms.unprotected,
        delivery=DeliverySpec(
            channel=delivery.channel,
            connection=delivery.connection,
            mode=delivery.mode,
            options=delivery.model_extra or {},
        )
        if delivery
        else DeliverySpec(channel="open"),
        requested_on=terms.requested_on,
        frequency=terms.frequency,
        data_life=terms.data_life,
        licence=terms.licence,
        usage=header.description.usage or "",
        limitations=header.description.limitations or "",
        withheld_until=terms.withheld.until if terms.withheld else None,
        withheld_basis=terms.withheld.legal_basis if terms.withheld else "",
        digest=content_id(document.data),
        path=document.path,
    )


def _protection(given: Whole | Protect) -> Protection:
    if isinstance(given, str):
        return Protection(kind=given)
    if given.mask:
        return Protection(kind="mask", keep_first=given.mask.first, keep_last=given.mask.last)
    return Protection(kind="generalise", to=str(given.generalise))


def _check_header(document: Document, header: AccessAgreement, agreement: Agreement) -> None:
    if not re.fullmatch(r"v0\.9(\.\d+)?", header.api_version):
        document.report(
            ("apiVersion",), f"crossdock reads OAAS v0.9, not '{header.api_version}'.", "Write `apiVersion: v0.9.0`."
        )
    if header.status not in STATUSES:
        document.report(("status",), f"There is no status '{header.status}'.", did_you_mean(header.status, STATUSES))
    for name, instant in (("startTimestamp", header.start), ("endTimestamp", header.end)):
        if instant.tzinfo is None:
            document.report((name,), "An instant needs its time zone.", "Write for example 2026-01-01T00:00:00+08:00.")
    if header.start.tzinfo and header.end.tzinfo and header.start >= header.end:
        document.report(("endTimestamp",), "The agreement ends before it starts.")
    if header.consumer.department != agreement.consumer:
        document.report(
            ("consumer", "department"), f"The consumer '{header.consumer.department}' is not the file's '{agreement.consumer}'.",
            f"Name the file {header.consumer.department}{SUFFIX}, or mend the consumer.",
        )  # fmt: skip
    if header.provider.department != agreement.dataset.partition("/")[0]:
        document.report(
            ("provider", "department"), f"The provider '{header.provider.department}' is not the department whose folder this is.",
            f"Write {agreement.dataset.partition('/')[0]}.",
        )  # fmt: skip


def _check_terms(document: Document, at: Steps, agreement: Agreement, contract: Contract) -> None:
    columns = {column.name: column for column in contract.columns}
    _check_columns(document, at, agreement, columns)
    _check_protection(document, at, agreement, columns)
    try:
        parse_rows(agreement.rows, columns, today=agreement.start.date())
    except RowFilterInvalid as error:
        document.report((*at, "rows"), f"{error.where}: {error.what}", error.fix)
    if agreement.data_life and not _ends(agreement):
        document.report((*at, "dataLife"), "A data life is an ISO 8601 duration.", "Write for example P1Y or P90D.")
    if agreement.status == REQUESTED and not 1900 <= (agreement.requested_on or agreement.start).year <= _LATEST:
        document.report((*at, "requestedOn"), "No clock runs from this day.", "Write the day of the request.")
    check_frequency(document, (*at, "frequency"), agreement.frequency)
    if agreement.is_publication:
        _check_publication(document, at, agreement)
    else:
        _check_delivery(document, (*at, "delivery"), agreement, contract)


def _ends(agreement: Agreement) -> bool:
    """Returns whether the agreed life of data is one that ends, by the calendar."""
    if not _DURATION.fullmatch(agreement.data_life):
        return False
    try:
        return agreement.end < later(agreement.end, agreement.data_life) < agreement.end.replace(year=9999)
    except OverflowError:
        return False


def _check_columns(document: Document, at: Steps, agreement: Agreement, columns: Mapping[str, Column]) -> None:
    for index, name in enumerate(agreement.columns):
        if name not in columns:
            document.report(
                (*at, "columns", index), f"The contract has no column '{name}'.", did_you_mean(name, columns)
            )
        elif name in agreement.columns[:index]:
            document.report((*at, "columns", index), f"Column '{name}' is listed twice.", "List it once.")


def _check_protection(document: Document, at: Steps, agreement: Agreement, columns: Mapping[str, Column]) -> None:
    for word, named in (("protect", agreement.protect), ("unprotected", agreement.unprotected)):
        for name in named:
            if name not in agreement.columns:
                document.report(
                    (*at, word, name),
                    f"Column '{name}' is not among the agreed columns.",
                    did_you_mean(name, agreement.columns),
                )
    for name in sorted(agreement.protect.keys() & agreement.unprotected.keys()):
        document.report(
            (*at, "unprotected", name),
            f"Column '{name}' is protected, so it needs no legal basis.",
            "Remove one of both.",
        )
    for name in agreement.exposed(columns):
        document.report(
            (*at, "columns", agreement.columns.index(name)),
            f"Column '{name}' is classified as sensitive, and would leave unprotected.",
            f"Protect it, or name the article that lets it leave clear: `unprotected: {{{name}: ...}}`.",
        )


def _check_publication(document: Document, at: Steps, agreement: Agreement) -> None:
    if not agreement.licence:
        document.report(at, "A publication needs a licence.", "Add for example `licence: CC-BY-4.0`.")
    if agreement.withheld_until:
        document.report((*at, "withheld"), "What is public can't be withheld from anybody.", "Remove it.")
    if agreement.unprotected:
        document.report((*at, "unprotected"), "No article makes a sensitive column public.", "Leave the column out.")
    if agreement.delivery.channel != "open":
        document.report((*at, "delivery"), "A publication has no delivery: it goes to the open area.", "Remove it.")


def _check_delivery(document: Document, at: Steps, agreement: Agreement, contract: Contract) -> None:
    channel = agreement.delivery.channel
    if agreement.licence:
        document.report((*at[:-1], "licence"), "Only a publication has a licence.", "Remove it.")
    if channel == "open":
        document.report(at[:-1], "The agreement has no delivery.", "Add channel, connection and mode.")
    elif channel not in CHANNELS:
        document.report((*at, "channel"), f"There is no channel '{channel}'.", did_you_mean(channel, CHANNELS))
    elif not agreement.delivery.connection:
        document.report(
            at, "The delivery names no connection.", "Add the Airflow connection id of the consumer's system."
        )
    if agreement.delivery.mode == "changes":
        _check_changes(document, at, agreement, contract)


def _check_changes(document: Document, at: Steps, agreement: Agreement, contract: Contract) -> None:
    if not contract.primary_key:
        document.report(
            (*at, "mode"), "Changes need a primary key, which the contract does not declare.", "Write `mode: full`."
        )
    for name in contract.primary_key:
        protection = agreement.protect.get(name)
        if name not in agreement.columns or (protection and protection.kind != "pseudonymise"):
            document.report(
                (*at, "mode"), f"Changes need the key column '{name}' among the agreed columns, clear or pseudonymised.",
                "Add it, or write `mode: full`.",
            )  # fmt: skip
