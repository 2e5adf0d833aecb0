"""What departments and datasets are called, in Chinese and English, from the compiled index of the contracts."""

from __future__ import annotations

from collections.abc import Mapping

from crossdock.contracts.index import Index, load_index
from crossdock.exchange import Exchange

Names = Mapping[str, tuple[str, str]]  # Chinese and English, by id


def index_of(exchange: Exchange) -> Index:
    """Returns every department, dataset and agreement; no contract is opened that has not changed."""
    home = exchange.home
    return load_index(home / "contracts", home / "var" / "index.json", transforms=home / "transforms")


def names_of(index: Index) -> Names:
    """Returns what departments, the public among them, and datasets are called."""
    names = {"public": ("社会公众", "the public")}
    for department in index.departments:
        names[department.id] = (department.zh, department.en)
        names |= {dataset.id: (dataset.title, dataset.en) for dataset in department.datasets}
    return names
