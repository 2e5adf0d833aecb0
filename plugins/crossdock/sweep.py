"""One pass over the exchange in this process: every dataset pulled and validated, every agreement served.

One bad dataset or consumer never stops the others: what failed is kept beside what succeeded. Several consumers are served
at once, so that none waits for a slow one; but of a dataset's consumers one goes first, since much of what is made for it
serves the others too (`storage.shelf`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial

import duckdb
import pyarrow as pa

from crossdock import notices, pipeline
from crossdock.contracts.agreement import AT_CHANGES, Agreement
from crossdock.contracts.model import Contract
from crossdock.discretion import told_plainly
from crossdock.errors import CrossdockError, WrongUse, did_you_mean
from crossdock.exchange import Exchange
from crossdock.handover import Outcome
from crossdock.ordered import cores
from crossdock.storage.notices import Notice
from crossdock.storage.records import Extract, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One verb applied to one dataset or agreement: its result, or the error that ended it."""

    verb: str
    subject: str  # dataset or agreement id
    result: Extract | Verdict | Outcome | Notice | None = None
    error: CrossdockError | None = None


@dataclass(slots=True)
class Pass:
    """All steps of one pass, in the order in which they ended."""

    steps: list[Step] = field(default_factory=list)

    @property
    def failures(self) -> list[Step]:
        """The steps that ended in an error."""
        return [step for step in self.steps if step.error]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts that were reached."""
        return [step.result for step in self.steps if isinstance(step.result, Verdict)]

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of each agreement."""
        return [step.result for step in self.steps if isinstance(step.result, Outcome)]


def run(exchange: Exchange, target: str = "", *, on_step: Callable[[Step], None] = lambda _: None) -> Pass:
    """Pulls, validates, pushes and publishes all datasets, a department's, or one ("department/dataset").

    Args:
        exchange: where.
        target: "", a department id or a dataset id.
        on_step: called after each step, for a progress display.
    """
    contracts = in_order(_chosen(exchange, target))
    done = Pass()
    for step in _steps(exchange, contracts):
        done.steps.append(step)
        on_step(step)
    return done


def serve(exchange: Exchange, dataset: str, *, on_step: Callable[[Step], None] = lambda _: None) -> Pass:
    """Pushes and publishes one dataset's snapshot under the agreements that are served when something changed."""
    done = Pass()
    due = [each for each in _agreements(exchange, [exchange.contract(dataset)]) if each.frequency in AT_CHANGES]
    for step in _serve(exchange, due):
        done.steps.append(step)
        on_step(step)
    return done


def steps_ahead(exchange: Exchange, target: str = "") -> int:
    """Returns how many steps `run` will take at most: two or three per dataset and one per agreement."""
    contracts = _chosen(exchange, target)
    told = sum(1 for contract in contracts if exchange.catalogue.departments[contract.department].findings)
    return 2 * len(contracts) + told + sum(1 for _ in _agreements(exchange, contracts))


def _chosen(exchange: Exchange, target: str) -> list[Contract]:
    known = exchange.catalogue.contracts
    chosen = [c for c in known.values() if not target or target in (c.id, c.department)]
    if target and not chosen:
        names = {c.department for c in known.values()} | set(known)
        raise WrongUse(
            f"There is no department or dataset '{target}'.",
            where=str(exchange.home / "contracts"),
            fix=did_you_mean(target, names),
        )
    return [c for c in chosen if c.source]


def in_order(contracts: Iterable[Contract]) -> list[Contract]:
    """Sorts contracts so that a dataset comes after those it refers to (in a circle, by id)."""
    by_id = {c.id: c for c in sorted(contracts, key=lambda c: c.id)}
    ordered: dict[str, Contract] = {}

    def place(contract: Contract, above: frozenset[str]) -> None:
        for name in sorted(contract.refers_to & by_id.keys() - above - ordered.keys()):
            place(by_id[name], above | {contract.id})
        ordered.setdefault(contract.id, contract)

    for contract in by_id.values():
        place(contract, frozenset({contract.id}))
    return list(ordered.values())


def _agreements(exchange: Exchange, contracts: list[Contract]) -> Iterator[Agreement]:
    chosen = {c.id for c in contracts}
    mine = [a for a in exchange.catalogue.agreements.values() if a.dataset in chosen]
    yield from sorted(mine, key=lambda a: (a.is_publication, a.consumer, a.id))


def _steps(exchange: Exchange, contracts: list[Contract]) -> Iterator[Step]:
    for contract in contracts:
        pulled = _attempt("pull", contract.id, partial(pipeline.pull, exchange, contract.id))
        yield pulled
        if isinstance(pulled.result, Extract):
            judged = _attempt("validate", contract.id, partial(pipeline.validate, exchange, pulled.result.id))
            yield judged
            if isinstance(judged.result, Verdict) and notices.is_due(exchange, judged.result):
                yield _attempt("notify", contract.id, partial(notices.notify, exchange, judged.result.id))
    yield from _serve(exchange, _agreements(exchange, contracts))


def _serve(exchange: Exchange, agreements: Iterable[Agreement]) -> Iterator[Step]:
    """Hands over under agreements, as many at once as there are cores."""
    of_dataset: dict[str, list[Agreement]] = {}
    for agreement in agreements:
        of_dataset.setdefault(agreement.dataset, []).append(agreement)
    with ThreadPoolExecutor(max(2, cores()), thread_name_prefix="crossdock") as pool:
        going = {pool.submit(_hand_over, exchange, first): others for first, *others in of_dataset.values()}
        try:
            while going:
                for done in wait(going, return_when=FIRST_COMPLETED).done:
                    going |= {pool.submit(_hand_over, exchange, other): [] for other in going.pop(done)}
                    yield done.result()
        finally:
            for future in going:
                future.cancel()


def _hand_over(exchange: Exchange, agreement: Agreement) -> Step:
    verb, act = ("publish", pipeline.publish) if agreement.is_publication else ("push", pipeline.push)
    return _attempt(verb, agreement.id, partial(act, exchange, agreement.id))


def _attempt(verb: str, subject: str, act: Callable[[], Extract | Verdict | Outcome | Notice | None]) -> Step:
    try:
        return Step(verb=verb, subject=subject, result=act())
    except CrossdockError as error:
        return Step(verb=verb, subject=subject, error=error)
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        # A full disk or a damaged object is this dataset's trouble.
        return Step(verb=verb, subject=subject, error=told_plainly(error, where=subject))
