"""Guesses of a drafted contract that no person has confirmed yet: as long as one is left, the contract can't be used."""

from __future__ import annotations

from collections.abc import Sequence

from open_data_contract_standard.model import SchemaObject

from crossdock.contracts.documents import Document, parsed
from crossdock.contracts.extension import PROPERTY, ColumnExtension
from crossdock.contracts.yaml_tree import Steps

_DONE = "Mend what is wrong; remove `confirm` when done."


def check_confirmed(document: Document, at: Steps, table: SchemaObject) -> None:
    """Notes every column whose property asks for a confirmation."""
    for index, given in enumerate(table.properties or []):
        for number, entry in enumerate(given.customProperties or []):
            place = (*at, "properties", index, "customProperties", number, "value")
            if entry.property == PROPERTY and entry.value is not None:
                extension = parsed(document, ColumnExtension, entry.value, place)
                if extension and extension.confirm:
                    what = f"Column '{given.name}': a person must confirm: {extension.confirm}"
                    document.report((*place, "confirm"), what, _DONE)


def check_dataset_confirmed(document: Document, at: Steps, questions: Sequence[str]) -> None:
    """Notes every question that the contract's own property asks."""
    for index, question in enumerate(questions):
        document.report((*at, "confirm", index), f"The dataset: a person must confirm: {question}", _DONE)
