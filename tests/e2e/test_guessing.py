"""Whoever knows all of a small dataset but one value tries every value it may have on all that leaves, and finds nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pytest

from crossdock import pipeline
from crossdock.delivery.prepared import Digests
from crossdock.identity import RowsDigest, content_id
from crossdock.ledger.blinding import blind
from crossdock.ledger.book import entry_of, fingerprint
from crossdock.rowhash import row_hashes
from crossdock.storage.records import Extract, Snapshot, deliveries, extract_by_id, latest_snapshot, verdict_by_id
from hamlet import agreement, column, contract, found, key, write_yaml
from killing import code, start
from unblinding import unblind

INCOMES = "town_hall/incomes"
DOMAIN = range(30, 42)  # what the income of the first may be
TRUE = 37
FILTERED = 2  # the row that the tax department's filter stops


def write_incomes(hamlet, income: int) -> None:
    rows = ["no,name,income", f"N1,Ann,{income}", "N2,Bob,52", "N3,Cid,11"]
    (hamlet.sources / "incomes.csv").write_text("\n".join(rows) + "\n", "utf-8")


def founded(home, income: int):
    """A hamlet with incomes, in columns that nobody gets."""
    hamlet = found(home)
    source = {"kind": "files", "connection": "town_files", "path": "incomes.csv", "format": "csv"}
    columns = [key("no"), column("name", required=True), column("income", "integer")]
    write_yaml(hamlet.contract("incomes"), contract("incomes", columns, source=source))
    tax = {"channel": "database", "connection": "tax_database", "mode": "changes", "table": "incomes"}
    school = {"channel": "folder", "connection": "school_folder", "mode": "full", "path": "incomes", "format": "csv"}
    for consumer, terms in {
        "tax": {"delivery": tax, "rows": "name != 'Cid'"},
        "school": {"delivery": school},
        "public": {"licence": "CC0-1.0"},
    }.items():
        write_yaml(hamlet.agreement("incomes", consumer), agreement("incomes", consumer, ["no", "name"], **terms))
    write_incomes(hamlet, income)
    return hamlet


@dataclass(frozen=True)
class Guess:
    """What comes of one value in an exchange of the guesser's own: the code is public, and files are the same bytes."""

    extract: Extract
    snapshot: Snapshot
    rows: np.ndarray  # their hashes

    def some(self, *places: int) -> RowsDigest:
        return RowsDigest.of(self.rows[list(places)])

    def digests(self, consumer: str) -> dict[str, str]:
        """The digests of a first delivery."""
        stopped = (FILTERED,) if consumer == "tax" else ()
        goes, stays = self.some(*{0, 1, 2} - set(stopped)), self.some(*stopped)
        return Digests(accepted=goes + stays, delivered=goes, unchanged=RowsDigest(), filtered=stays).to_dict()

    def words(self, verdict) -> Iterator[str]:
        """All that can be made of it without a key, as it would be spelled."""
        for many in (1, 2, 3):
            for places in combinations(range(3), many):
                digest = self.some(*places)
                yield from (f"{digest.low:016x}", f"{digest.high:016x}")
        extract, snapshot = self.extract, self.snapshot
        for sha256 in (extract.sha256, snapshot.sha256):
            yield sha256[:32]
            for kind, *more in (("extract", None, extract.drift), ("snapshot",), ("file",)):
                yield content_id(kind, INCOMES, sha256, *more)
        named = content_id("extract", INCOMES, extract.sha256, None, extract.drift)
        yield content_id("verdict", named, verdict.contract_digest, {}, {}, [], "")


@pytest.fixture(scope="module")
def guesses(tmp_path_factory):
    hamlet = founded(tmp_path_factory.mktemp("guesser"), TRUE)
    exchange, made = hamlet.open(), {}
    for income in DOMAIN:
        write_incomes(hamlet, income)
        extract = pipeline.pull(exchange, INCOMES)
        pipeline.validate(exchange, extract.id)
        snapshot = latest_snapshot(exchange.state, INCOMES)
        rows = exchange.dataset(snapshot.key).to_table()
        assert rows["income"].to_pylist() == [income, 52, 11]
        made[income] = Guess(extract, snapshot, row_hashes(rows))
    return made


@dataclass(frozen=True)
class Given:
    """What an exchange has given away, and what it keeps to itself."""

    exchange: object
    deliveries: dict  # by consumer
    bodies: dict  # of their entries, as proofs show them
    text: str  # all of it

    def verdict(self):
        snapshot = latest_snapshot(self.exchange.state, INCOMES)
        return verdict_by_id(self.exchange.state, snapshot.verdict)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Proofs as the command writes them, manifests and receipts, all of the open area, the ids that lineage tells, and the files' names that errors tell."""
    hamlet = founded(tmp_path_factory.mktemp("exchange"), TRUE)
    exchange = hamlet.open()
    extract = pipeline.pull(exchange, INCOMES)
    verdict = pipeline.validate(exchange, extract.id)
    for consumer in ("tax", "school"):
        assert pipeline.push(exchange, f"{INCOMES}/{consumer}").status == "delivered"
    assert pipeline.publish(exchange, f"{INCOMES}/public").status == "delivered"
    made = {each.consumer: each for each in deliveries(exchange.state)}
    assert len(made) == 3
    assert code(start(hamlet.home, arguments=("ledger", "sign"))) == 0
    told, bodies = [extract.id, verdict.id, latest_snapshot(exchange.state, INCOMES).id], {}
    for consumer, each in made.items():
        file = hamlet.home / f"{consumer}.json"
        assert code(start(hamlet.home, arguments=("ledger", "prove", each.id, "--output", str(file)))) == 0
        proof = json.loads(file.read_text("utf-8"))
        bodies[consumer] = json.loads(proof["body"])
        told += [each.id, json.dumps(proof), json.dumps(each.receipt), exchange.store.read(each.manifest_key).decode()]
    told += [file.read_text("utf-8") for file in hamlet.school.rglob("*") if file.suffix in (".json", ".csv")]
    told += [name for area in ("landing", "accepted") for name in exchange.store.list(f"{area}/{INCOMES}/")]
    for name in exchange.store.list("open/"):
        told += [name, exchange.store.read(name).decode("utf-8", "replace")]
    return Given(exchange, made, bodies, "\n".join(told))


def test_without_the_key_no_value_is_told_by_anything_that_leaves(given, guesses):
    verdict = given.verdict()
    words = {word: income for income, guess in guesses.items() for word in guess.words(verdict)}
    assert len(words) > 15 * len(DOMAIN)
    assert {income for word, income in words.items() if word in given.text} == set()


def test_without_the_key_no_value_is_told_by_the_hash_of_the_states_row(given, guesses):
    for consumer, delivery in given.deliveries.items():
        assert fingerprint(delivery) == given.bodies[consumer]["record"]
        for guess in guesses.values():
            row = replace(delivery, digests=guess.digests(consumer))
            assert fingerprint(row) not in given.text


def test_deliveries_of_one_snapshot_have_no_digest_in_common(given):
    """Else what is hidden in one would be told by another, and equal rows by equal digests."""
    told = [text.partition(":")[2] for body in given.bodies.values() for text in body["digests"].values()]
    assert len(set(told)) == len(told) == 12
    pads = {
        str(
            RowsDigest.parse(text)
            - RowsDigest.parse(unblind(body["digests"], body["delivery"], given.exchange.keys)[name])
        )
        for body in given.bodies.values()
        for name, text in body["digests"].items()
    }
    assert len(pads) == 12


def test_the_guesser_would_be_right(given, guesses):
    """What the exchange keeps to itself tells the value: else the tests above prove nothing."""
    snapshot = latest_snapshot(given.exchange.state, INCOMES)
    extract = extract_by_id(given.exchange.state, given.verdict().extract)
    for income, guess in guesses.items():
        assert (guess.snapshot.sha256 == snapshot.sha256) == (income == TRUE)
        assert (guess.extract.sha256 == extract.sha256) == (income == TRUE)
        assert (guess.snapshot.digest == snapshot.digest) == (income == TRUE)


def test_with_the_key_the_same_guesses_tell_the_value(given, guesses):
    keys = given.exchange.keys
    for income, guess in guesses.items():
        right = income == TRUE
        assert (keys.private_id("snapshot", INCOMES, guess.snapshot.sha256) in given.text) == right
        extract = keys.private_id("extract", INCOMES, guess.extract.sha256, None, guess.extract.drift)
        assert (extract in given.text) == right
        for consumer, body in given.bodies.items():
            blinded = blind(guess.digests(consumer), body["delivery"], keys)
            assert (blinded == body["digests"]) == right
            row = replace(given.deliveries[consumer], digests=blinded)
            assert (fingerprint(row) == body["record"]) == right


def test_with_the_key_an_entry_is_seen_to_be_of_its_snapshot(given):
    snapshot = latest_snapshot(given.exchange.state, INCOMES)
    for delivery in given.deliveries.values():
        body = entry_of(given.exchange.state, delivery.id).body
        assert body.snapshot == snapshot.id
        assert unblind(body.digests, body.delivery, given.exchange.keys)["accepted"] == str(snapshot.digest)


def test_the_ledger_is_sound(given):
    assert pipeline.check(given.exchange).sound
