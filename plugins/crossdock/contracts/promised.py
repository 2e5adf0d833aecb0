"""All that one property promises by its keys and its quality entries, and so does everything inside of it."""

from __future__ import annotations

from open_data_contract_standard.model import SchemaProperty

from crossdock.contracts.model import Column
from crossdock.contracts.nested import parts_of
from crossdock.contracts.options import property_rules
from crossdock.contracts.quality import quality_rules
from crossdock.contracts.rules import Rules
from crossdock.contracts.yaml_tree import Steps


def column_rules(rules: Rules, at: Steps, given: SchemaProperty, column: Column) -> None:
    """Adds the rules of a property, then those of what is inside of it."""
    property_rules(rules, at, given, column)
    quality_rules(rules, at, given.quality or [], column)
    children = {child.field: child for child in column.children}
    for field, place, part in parts_of(at, given):
        if field in children:
            column_rules(rules, place, part, children[field])
