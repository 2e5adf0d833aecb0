"""One running exchange: its contracts, store, state, connections and keys, opened together."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pyarrow.dataset as pads

from crossdock.connections import Lookup, local_lookup
from crossdock.contracts.agreement import Agreement
from crossdock.contracts.catalogue import Catalogue, ContractsTree
from crossdock.contracts.model import Contract, Department
from crossdock.errors import ContractInvalid, WrongUse, did_you_mean
from crossdock.identity import now
from crossdock.keys import Keys
from crossdock.storage.open import open_store
from crossdock.storage.scratch import scratch
from crossdock.storage.shelf import Shelf
from crossdock.storage.state import State
from crossdock.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Everything the four verbs need; tests build it from parts, everyone else calls `open_exchange`."""

    home: Path
    contracts: ContractsTree
    store: Store
    state: State
    lookup: Lookup
    keys: Keys
    transforms: Path
    clock: Callable[[], datetime] = now

    @property
    def catalogue(self) -> Catalogue:
        """Every department, contract and agreement: what a look over all of them needs, and one task does not."""
        return self.contracts.whole

    def contract(self, dataset: str) -> Contract:
        """Returns a dataset's contract.

        Raises:
            ContractInvalid: its file is there but wrong.
            WrongUse: there is no such dataset.
        """
        part = self.contracts.part(dataset)
        if dataset not in part.contracts:
            self._missing("dataset", dataset, part)
        return part.contracts[dataset]

    def agreement(self, agreement: str) -> Agreement:
        """Returns an agreement by its id, "<department>/<dataset>/<consumer>"; raises as `contract` does."""
        part = self.contracts.part(agreement.rpartition("/")[0])
        if agreement not in part.agreements:
            self._missing("agreement", agreement, part)
        return part.agreements[agreement]

    def provider(self, agreement: Agreement) -> Department:
        """Returns the department that provides what an agreement is about."""
        return self.contracts.part(agreement.dataset).departments[agreement.provider]

    def _missing(self, kind: str, name: str, part: Catalogue) -> NoReturn:
        folder = self.home / "contracts" / "/".join(name.split("/")[:2])
        problems = [p for p in part.problems if p.file.is_relative_to(folder)]
        if problems:
            raise ContractInvalid(problems)
        known = self.catalogue.agreements if kind == "agreement" else self.catalogue.contracts
        raise WrongUse(
            f"There is no {kind} '{name}'.", where=str(self.home / "contracts"), fix=did_you_mean(name, known)
        )

    def dataset(self, key: str) -> pads.Dataset:
        """Opens a stored parquet object for streaming, wherever the store is."""
        filesystem, root = self.store.filesystem()
        return pads.dataset(f"{root}/{key}", format="parquet", filesystem=filesystem)

    @property
    def shelf(self) -> Shelf:
        """What is made for one consumer and is the same for the next, on the disk of the local state."""
        return Shelf(self.home / "var" / "shelf")

    def scratch(self) -> AbstractContextManager[Path]:
        """Gives a folder for one piece of work, on the disk of the local state, and removes it afterwards."""
        return scratch(self.home / "var" / "scratch")


def find_home() -> Path:
    """Returns the exchange's folder: CROSSDOCK_HOME, else AIRFLOW_HOME, else the nearest folder above with contracts/."""
    named = os.environ.get("CROSSDOCK_HOME") or os.environ.get("AIRFLOW_HOME")
    if named:
        return Path(named).absolute()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "contracts").is_dir()), here)


def keys_folder(home: Path) -> Path:
    """Returns where the keys of the exchange in a folder are."""
    return Path(os.environ.get("CROSSDOCK_KEYS") or home / "var" / "keys")


def open_exchange(home: Path | None = None, *, lookup: Lookup | None = None) -> Exchange:
    """Opens the exchange of a folder, making state, keys and store on first use.

    Environment: CROSSDOCK_STORE (a folder, or s3://bucket/prefix?connection=<id>) and CROSSDOCK_STATE (an SQLAlchemy
    URL) move the store and the state away from the embedded defaults under var/; CROSSDOCK_KEYS names the key folder.

    Args:
        home: holds contracts/ and transforms/; `find_home` by default.
        lookup: finds connections; by default in the environment and in var/connections.json.

    Raises:
        WrongUse: the folder holds no contracts/, so nothing is made there.
    """
    home = (home or find_home()).absolute()
    if not (home / "contracts").is_dir():
        raise WrongUse(
            "There is no exchange here: no contracts/ folder.",
            where=str(home),
            fix="Start in the exchange's folder, or name it in CROSSDOCK_HOME.",
        )
    var = home / "var"
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    var.chmod(0o700)  # set-up may have made it with wider rights
    lookup = lookup or local_lookup(var / "connections.json")
    transforms = home / "transforms"
    return Exchange(
        home=home,
        contracts=ContractsTree(home / "contracts", transforms),
        store=open_store(os.environ.get("CROSSDOCK_STORE") or str(var / "store"), lookup),
        state=State.open(os.environ.get("CROSSDOCK_STATE") or f"sqlite:///{var / 'state.db'}"),
        lookup=lookup,
        keys=Keys.open(keys_folder(home)),
        transforms=transforms,
    )
