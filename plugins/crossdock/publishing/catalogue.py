"""The index of all open data: `open/catalogue.json`, one item per dataset, made from what the pointers show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crossdock.errors import StorageConflict, Transient
from crossdock.identity import canonical
from crossdock.storage.store import Store

KEY = "open/catalogue.json"
_TRIES = 100


def index(store: Store, dataset: str) -> None:
    """Brings one dataset's item up to what its `latest.json` shows; nothing is written when it shows that already.

    The pointer is read after the index, and the index swapped only if unchanged, so an older item never wins.
    """
    for _ in range(_TRIES):
        found = store.read_versioned(KEY)
        listed = read_json(found[0], KEY, "datasets")["datasets"] if found else []
        items = {item["dataset"]: item for item in listed}
        item = _item(store, f"open/{dataset}/latest.json")
        wanted = {name: known for name, known in items.items() if name != dataset} | ({dataset: item} if item else {})
        if wanted == items:
            return
        if store.swap(KEY, _spelled(wanted), expected=found[1] if found else None):
            return
    raise Transient("Other writers keep changing the index.", where=KEY, fix="Try again.")


def rebuild(store: Store) -> int:
    """Makes the whole index anew from the pointers in the store, and returns how many datasets it lists."""
    for _ in range(_TRIES):
        found = store.read_versioned(KEY)
        pointers = [key for key in store.list("open/") if key.count("/") == 3 and key.endswith("/latest.json")]
        items = {str(item["dataset"]): item for key in pointers if (item := _item(store, key))}
        data = _spelled(items)
        if found and found[0] == data:
            return len(items)
        if store.swap(KEY, data, expected=found[1] if found else None):
            return len(items)
    raise Transient("Other writers keep changing the index.", where=KEY, fix="Try again.")


def _item(store: Store, pointer_key: str) -> Mapping[str, object] | None:
    """Returns a dataset's item, None when nothing is shown; its paths are relative to the index, as the pointer's to it."""
    found = store.read_versioned(pointer_key)
    if found is None:
        return None
    latest = read_json(found[0], pointer_key, "dataset", "version")
    if not latest["version"]:
        return None  # what it showed was withdrawn
    base = f"open/{latest['dataset']}/versions/{latest['version']}"
    package = json.loads(store.read(f"{base}/datapackage.json"))
    relative = base.removeprefix("open/")
    return {
        "dataset": latest["dataset"],
        "title": package["title"],
        "description": package["description"],
        "publisher": package["contributors"][0]["title"],
        "keywords": package["keywords"],
        "licence": package["licenses"][0]["name"],
        "columns": [field["name"] for field in package["resources"][0]["schema"]["fields"]],
        "rows": latest["rows"],
        "bytes": package["resources"][0]["bytes"],
        "sha256": latest["sha256"],
        "version": latest["version"],
        "released_at": latest["released_at"],
        "data": f"{relative}/data.parquet",
        "dictionary": f"{relative}/dictionary.csv",
        "readme": f"{relative}/README.md",
    }


def order_of(pointer: Mapping[str, object]) -> tuple[int, str]:
    """Returns the place of what a pointer shows in the order of releases."""
    return int(str(pointer["snapshot_seq"])), str(pointer["released_at"])


def read_json(data: bytes, key: str, *needed: str) -> dict[str, Any]:
    """Returns a JSON object that has the needed keys.

    Raises:
        StorageConflict: the object is something else, so it was not written by crossdock.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        missing = [name for name in needed if name not in document]
    except (ValueError, TypeError) as error:
        raise StorageConflict("This is not the JSON that crossdock writes.", where=key, fix=_MEND) from error
    if missing:
        raise StorageConflict(f"It lacks {', '.join(missing)}.", where=key, fix=_MEND)
    return document


_MEND = "Restore it from a backup, or delete it and publish again: the versions themselves stay."


def _spelled(items: Mapping[str, Mapping[str, object]]) -> bytes:
    return canonical({"datasets": [items[name] for name in sorted(items)]})
