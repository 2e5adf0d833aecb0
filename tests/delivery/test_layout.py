"""Tables follow their agreements: what crossdock laid out is altered when other columns are agreed, and nothing else is."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from crossdock.contracts.agreement import Protection
from crossdock.delivery.channels.channel import arrived, deliver
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from delivery.carry import FIRST, SECOND, killed_at
from delivery.consumers import consumer, index_names
from delivery.samples import CONTRACT, held, person, shipment

BEFORE, AFTER = ("resident_id", "name", "phone"), ("resident_id", "region_code", "name", "children")
PEOPLE = [person(n) for n in range(4)]
BY_CHILDREN = replace(
    CONTRACT,
    columns=tuple(
        replace(c, key_position={"children": 1}.get(c.name), required=c.name == "children") for c in CONTRACT.columns
    ),
)


@pytest.fixture(params=["sqlite", "postgres", "mariadb", "mysql", "dialect"])
def system(request, tmp_path):
    return consumer(request.param, tmp_path, request)


def table(system, columns):
    """What the consumer's table holds in these columns, and that it has no others."""
    found = system.query("SELECT * FROM population")
    assert {len(row) for row in found} <= {len(columns)}
    return sorted(system.query(f"SELECT {', '.join(columns)} FROM population"))


def of(people, columns):
    return sorted(tuple(p[c] for c in columns) for p in people)


@pytest.fixture
def filled(system, tmp_path):
    """A consumer with a table of the agreement before."""
    deliver(shipment(tmp_path / "1", system.agreed(columns=BEFORE), PEOPLE), system.connection)
    return system


def changed(folder, system, people=PEOPLE, sequence=2, **fields):
    return shipment(folder, system.agreed(**{"columns": AFTER, **fields}), people, sequence=sequence)


def test_columns_come_and_go_with_the_agreement(filled, tmp_path):
    deliver(changed(tmp_path / "2", filled), filled.connection)
    assert table(filled, AFTER) == of(PEOPLE, AFTER)
    deliver(changed(tmp_path / "3", filled, PEOPLE[:1], sequence=3, columns=BEFORE), filled.connection)
    assert table(filled, BEFORE) == of(PEOPLE[:1], BEFORE)


def test_a_column_may_get_another_type_and_get_it_back(system, tmp_path):
    columns = ("resident_id", "birth_date", "children")
    clear = of([p | {"birth_date": str(p["birth_date"])} for p in PEOPLE], columns)
    told = of([p | {"birth_date": "1990", "children": "[0, 10)"} for p in PEOPLE], columns)
    coarse = {
        "birth_date": Protection(kind="generalise", to="year"),
        "children": Protection(kind="generalise", to="10"),
    }
    for sequence, (protect, wanted) in enumerate([({}, clear), (coarse, told), ({}, clear)], 1):
        made = changed(tmp_path / str(sequence), system, sequence=sequence, columns=columns, protect=protect)
        deliver(made, system.connection)
        assert [(a, str(b), c) for a, b, c in table(system, columns)] == wanted


def test_changes_go_on_after_the_agreement_changed(system, tmp_path):
    first = shipment(tmp_path / "1", system.agreed("changes", columns=BEFORE), PEOPLE)
    deliver(first, system.connection)
    agreed = system.agreed("changes", columns=AFTER)
    second = shipment(tmp_path / "2", agreed, PEOPLE, sequence=2, previous=held(first.prepared, "d1"))
    assert second.prepared.replaces
    deliver(second, system.connection)
    after = [PEOPLE[0] | {"name": "other"}, *PEOPLE[2:], person(8)]
    third = shipment(tmp_path / "3", agreed, after, sequence=3, previous=held(second.prepared, "d2"))
    assert not third.prepared.replaces
    deliver(third, system.connection)
    assert table(system, AFTER) == of(after, AFTER)


def test_a_key_becomes_a_pseudonym(system, tmp_path):
    """Its column gets another type."""
    columns = ("children", "name")
    agreed = system.agreed("changes", columns=columns)
    first = shipment(tmp_path / "1", agreed, PEOPLE, contract=BY_CHILDREN)
    deliver(first, system.connection)
    hidden = replace(agreed, protect={"children": Protection(kind="pseudonymise")})
    last = held(first.prepared, "d1")
    deliver(
        shipment(tmp_path / "2", hidden, PEOPLE, sequence=2, previous=last, contract=BY_CHILDREN), system.connection
    )
    found = {name: key for key, name in table(system, columns)}
    assert found.keys() == {p["name"] for p in PEOPLE}
    assert len({key for key in found.values() if isinstance(key, str) and len(key) > 20}) == len(PEOPLE)


KEYS = {
    "postgres": "SELECT 1 FROM pg_index WHERE indrelid = 'population'::regclass AND indisprimary",
    "sqlite": "SELECT 1 FROM pragma_table_info('population') WHERE pk > 0",
    "mariadb": "SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'population'",
}
KEYS["mysql"] = KEYS["mariadb"]
KEYED = ("resident_id", "children", "name")
ONE_HAS_TWO = [p | {"resident_id": "same", "children": n} for n, p in enumerate(PEOPLE)]


def by_id(folder, system, mode="changes"):
    made = shipment(folder, system.agreed(mode, columns=KEYED), PEOPLE)
    deliver(made, system.connection)
    return held(made.prepared, "d1") if mode == "changes" else None


def by_children(folder, system, last, sequence=2):
    agreed = system.agreed("changes", columns=KEYED)
    return shipment(folder, agreed, ONE_HAS_TWO, sequence=sequence, previous=last, contract=BY_CHILDREN)


@pytest.mark.parametrize("mode", ["changes", "full"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_another_agreed_key_is_the_tables_in_the_same_transaction(kind, tmp_path, request, mode):
    system = consumer(kind, tmp_path, request)
    last = by_id(tmp_path / "1", system, mode)
    second = by_children(tmp_path / "2", system, last)
    deliver(second, system.connection)
    assert table(system, KEYED) == of(ONE_HAS_TWO, KEYED)
    with pytest.raises(Exception, match=r"duplicate key|UNIQUE constraint failed: population.children"):
        system.query("INSERT INTO population SELECT * FROM population")
    after = [ONE_HAS_TWO[0] | {"name": "other"}, *ONE_HAS_TWO[2:]]
    third = shipment(
        tmp_path / "3", system.agreed("changes", columns=KEYED), after, sequence=3,
        previous=held(second.prepared, "d2"), contract=BY_CHILDREN,
    )  # fmt: skip
    assert not third.prepared.replaces
    deliver(third, system.connection)
    assert table(system, KEYED) == of(after, KEYED)


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb", "mysql"])
def test_no_key_is_agreed_any_more(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    by_id(tmp_path / "1", system)
    hidden = {"resident_id": Protection(kind="drop")}
    deliver(changed(tmp_path / "2", system, columns=KEYED, protect=hidden), system.connection)
    assert [row[0] for row in table(system, KEYED)] == [None] * len(PEOPLE)


@pytest.mark.parametrize(("kind", "said"), [("postgres", "does not let us alter"), ("sqlite", "agreed key is")])
def test_a_key_that_others_refer_to_is_told_and_nothing_is_changed(kind, said, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    last = by_id(tmp_path / "1", system)
    system.query("CREATE TABLE visits (who text REFERENCES population)")
    with pytest.raises(ConsumerRefused, match=said) as caught:
        deliver(by_children(tmp_path / "2", system, last), system.connection)
    assert ('let the primary key be ("children")' in caught.value.fix) is (kind == "postgres")
    assert table(system, KEYED) == of(PEOPLE, KEYED)


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_another_key_is_given_to_rows_that_do_not_break_it(kind, tmp_path, request):
    """It alters the table a moment before its rows are replaced."""
    system = consumer(kind, tmp_path, request)
    last = by_id(tmp_path / "1", system)
    second = by_children(tmp_path / "2", system, last)
    deliver(second, system.connection)
    assert table(system, KEYED) == of(ONE_HAS_TWO, KEYED)
    with pytest.raises(Exception, match=r"Duplicate entry '0' for key '(population\.)?PRIMARY'"):
        system.query("INSERT INTO population VALUES (NULL, 0, NULL)")
    system.query("UPDATE population SET resident_id = NULL WHERE children = 0")  # it is no key any more
    after = [ONE_HAS_TWO[0] | {"name": "other"}, *ONE_HAS_TWO[2:]]
    third = shipment(
        tmp_path / "3", system.agreed("changes", columns=KEYED), after, sequence=3,
        previous=held(second.prepared, "d2"), contract=BY_CHILDREN,
    )  # fmt: skip
    deliver(third, system.connection)
    assert table(system, KEYED) == of(after, KEYED)
    system.query("DELETE FROM population WHERE children > 0")  # who would break the old key
    deliver(changed(tmp_path / "4", system, sequence=4, columns=KEYED, mode="changes"), system.connection)
    with pytest.raises(Exception, match=r"Duplicate entry '.*' for key '(population\.)?PRIMARY'"):
        system.query("INSERT INTO population SELECT resident_id, 99, name FROM population LIMIT 1")


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
@pytest.mark.parametrize("broken", ["1", "NULL"])
def test_where_rows_break_the_agreed_key_that_is_said_and_an_emptied_table_gets_it(kind, broken, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    last = by_id(tmp_path / "1", system)
    system.query(f"UPDATE population SET children = {broken}")
    before = sorted(system.query("SELECT resident_id, name FROM population"))
    with pytest.raises(ConsumerRefused, match=r"error 1\d\d\d") as caught:
        deliver(by_children(tmp_path / "2", system, last), system.connection)
    assert "empty the table" in caught.value.fix
    assert sorted(system.query("SELECT resident_id, name FROM population")) == before
    system.query("DELETE FROM population")
    deliver(by_children(tmp_path / "3", system, last), system.connection)
    assert table(system, KEYED) == of(ONE_HAS_TWO, KEYED)


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_killed_while_the_key_is_altered_and_agreed_otherwise_meanwhile(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed("changes", columns=BEFORE), FIRST), system.connection)
    assert killed_at("delivery.database.altered", system, agreed=system.agreed(columns=BEFORE), folder=tmp_path / "k")
    assert not system.query(KEYS[kind])  # the old rows, without a key
    assert table(system, BEFORE) == of(FIRST, BEFORE)
    deliver(changed(tmp_path / "back", system, SECOND, sequence=3, columns=BEFORE, mode="changes"), system.connection)
    assert table(system, BEFORE) == of(SECOND, BEFORE)
    assert system.query(KEYS[kind])


@pytest.mark.parametrize("kind", ["dialect"])
@pytest.mark.parametrize("by_way_of", ["changes", "full"])
def test_where_a_key_can_not_be_altered_that_is_said_and_a_table_made_anew_has_it(kind, by_way_of, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    last = by_id(tmp_path / "1", system)
    if by_way_of == "full":
        deliver(changed(tmp_path / "full", system, columns=KEYED), system.connection)
        last = None
    before = table(system, KEYED)
    with pytest.raises(ConsumerRefused, match=r'agreed key is ."children". now, but .* is ."resident_id".') as caught:
        deliver(by_children(tmp_path / "2", system, last, sequence=3), system.connection)
    assert "made anew" in caught.value.fix
    assert table(system, KEYED) == before
    system.query("DROP TABLE population")
    deliver(by_children(tmp_path / "3", system, last, sequence=3), system.connection)
    assert table(system, KEYED) == of(ONE_HAS_TWO, KEYED)


OWN = {
    "a check": 'CREATE TABLE "population" ("resident_id" TEXT, "children" INTEGER CHECK (children >= 0), "name" TEXT, PRIMARY KEY ("resident_id"))',
    "a type": 'CREATE TABLE population (resident_id VARCHAR(20), children INTEGER, name TEXT, PRIMARY KEY ("resident_id"))',
    "no row number": 'CREATE TABLE "population" ("resident_id" TEXT, "children" INTEGER, "name" TEXT, PRIMARY KEY ("resident_id")) WITHOUT ROWID',
}  # fmt: skip


@pytest.mark.parametrize("own", OWN.values(), ids=OWN)
def test_a_table_of_sqlite_that_the_consumer_made_is_not_made_anew(own, tmp_path, request):
    system = consumer("sqlite", tmp_path, request)
    system.query(own)
    last = by_id(tmp_path / "1", system)
    before = system.query("SELECT sql FROM sqlite_schema")
    with pytest.raises(ConsumerRefused, match=r"agreed key is ."):
        deliver(by_children(tmp_path / "2", system, last), system.connection)
    assert system.query("SELECT sql FROM sqlite_schema") == before
    deliver(changed(tmp_path / "3", system, sequence=3, columns=KEYED), system.connection)  # no key is agreed
    assert table(system, KEYED) == of(PEOPLE, KEYED)
    assert system.query("SELECT sql FROM sqlite_schema") == before


def test_what_the_consumer_built_on_a_table_of_sqlite_outlives_another_key(tmp_path, request):
    system = consumer("sqlite", tmp_path, request)
    last = by_id(tmp_path / "1", system)
    own = [
        "CREATE TABLE log (name TEXT)",
        "CREATE VIEW names AS SELECT resident_id, name FROM population",
        "CREATE INDEX by_name ON population (name) WHERE name > ''",
        "CREATE UNIQUE INDEX by_both ON population (name, children)",
        "CREATE TRIGGER added AFTER INSERT ON population BEGIN INSERT INTO log VALUES (new.name); END",
    ]
    for statement in own:
        system.query(statement)
    deliver(by_children(tmp_path / "2", system, last), system.connection)
    assert table(system, KEYED) == of(ONE_HAS_TWO, KEYED)
    kept = {sql for (sql,) in system.query("SELECT sql FROM sqlite_schema")}
    assert set(own) <= kept
    names = sorted(p["name"] for p in ONE_HAS_TWO)
    assert sorted(name for _, name in system.query("SELECT * FROM names")) == names
    assert sorted(name for (name,) in system.query("SELECT * FROM log")) == names


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb", "mysql"])
def test_a_key_of_the_consumers_own_is_left(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    by_id(tmp_path / "1", system, "full")
    if kind == "sqlite":
        system.query("ALTER TABLE population RENAME TO old")
        system.query("CREATE TABLE population (resident_id TEXT, children INTEGER PRIMARY KEY, name TEXT)")
        system.query("INSERT INTO population SELECT * FROM old")
    else:
        system.query("ALTER TABLE population ADD PRIMARY KEY (children)")
    deliver(changed(tmp_path / "2", system, columns=KEYED), system.connection)
    agreed = system.agreed("changes", columns=KEYED)
    deliver(shipment(tmp_path / "3", agreed, PEOPLE, sequence=3), system.connection)
    with pytest.raises(Exception, match=r"(?i)duplicate|unique"):
        system.query("INSERT INTO population (resident_id, children, name) SELECT 'x', children, 'x' FROM population")


def test_a_key_of_which_the_marker_does_not_tell_is_not_altered(tmp_path, request):
    system = consumer("postgres", tmp_path, request)
    last = by_id(tmp_path / "1", system)
    (layout,) = system.query("SELECT layout FROM crossdock_delivery")
    pairs = json.dumps([[name, kind] for name, kind, _ in json.loads(layout[0])])  # as it was written before
    system.query(f"UPDATE crossdock_delivery SET layout = '{pairs}'")
    with pytest.raises(ConsumerRefused, match="agreed key is"):
        deliver(by_children(tmp_path / "2", system, last), system.connection)
    deliver(changed(tmp_path / "3", system, columns=AFTER), system.connection)
    assert table(system, AFTER) == of(PEOPLE, AFTER)


@pytest.mark.parametrize("step", ["altered", "changed", "marked", "committed"])
@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mariadb", "mysql"])
def test_killed_while_the_key_is_altered_and_repeated(kind, tmp_path, request, step):
    system = consumer(kind, tmp_path, request)
    agreed = system.agreed("changes", columns=BEFORE)
    first = shipment(tmp_path / "1", agreed, FIRST)
    deliver(first, system.connection)
    assert killed_at(f"delivery.database.{step}", system, agreed=system.agreed(columns=BEFORE), folder=tmp_path / "k")
    assert bool(system.query(KEYS[kind])) is (
        step != "committed" and kind not in ("mariadb", "mysql")
    )  # there, altering commits
    assert table(system, BEFORE) == of(SECOND if step == "committed" else FIRST, BEFORE)
    deliver(changed(tmp_path / "again", system, SECOND, columns=BEFORE), system.connection)
    assert table(system, BEFORE) == of(SECOND, BEFORE)


def test_what_the_consumer_built_on_other_columns_stays(filled, tmp_path):
    filled.query("CREATE VIEW names AS SELECT resident_id, name FROM population")
    index_names(filled)
    deliver(changed(tmp_path / "2", filled), filled.connection)
    assert sorted(filled.query("SELECT resident_id, name FROM names")) == of(PEOPLE, ("resident_id", "name"))
    with pytest.raises(Exception, match=r"(?i)exists|duplicate"):
        index_names(filled)


@pytest.mark.parametrize(
    "own",
    [
        "ALTER TABLE population ADD own VARCHAR(20)",
        "ALTER TABLE population ADD region_code BIGINT",
        "ALTER TABLE population DROP COLUMN phone",
    ],
)
def test_what_the_consumer_altered_is_left_alone(filled, tmp_path, own):
    filled.query(own)
    before = sorted(filled.query("SELECT * FROM population"))
    columns = BEFORE if "DROP" in own else AFTER
    with pytest.raises(ConsumerRefused, match="other columns than agreed"):
        deliver(changed(tmp_path / "2", filled, columns=columns), filled.connection)
    assert sorted(filled.query("SELECT * FROM population")) == before


@pytest.mark.parametrize("layout", ["", "no JSON", "[[1]]", "3", "null", "[" * 100_000])
def test_a_marker_that_somebody_spoiled_lets_nothing_be_altered(tmp_path, request, layout):
    system = consumer("sqlite", tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed(columns=BEFORE), PEOPLE), system.connection)
    system.query("UPDATE crossdock_delivery SET layout = ?", layout)
    with pytest.raises(ConsumerRefused, match="other columns than agreed"):
        deliver(changed(tmp_path / "2", system), system.connection)
    assert table(system, BEFORE) == of(PEOPLE, BEFORE)


def test_an_older_delivery_alters_nothing(filled, tmp_path):
    deliver(changed(tmp_path / "3", filled, sequence=3), filled.connection)
    with pytest.raises(ConsumerRefused, match="newer delivery, d3"):
        deliver(changed(tmp_path / "2", filled, sequence=2, columns=BEFORE), filled.connection)
    assert table(filled, AFTER) == of(PEOPLE, AFTER)


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "dialect"])
def test_a_view_that_needs_a_column_is_told_and_not_broken(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed(columns=BEFORE), PEOPLE), system.connection)
    system.query("CREATE VIEW phones AS SELECT phone FROM population")
    with pytest.raises(ConsumerRefused, match="does not let us alter") as caught:
        deliver(changed(tmp_path / "2", system), system.connection)
    assert 'drop "phone"; add "region_code"' in caught.value.fix
    assert table(system, BEFORE) == of(PEOPLE, BEFORE)
    assert len(system.query("SELECT * FROM phones")) == len(PEOPLE)
    system.query("DROP VIEW phones")
    deliver(changed(tmp_path / "3", system, sequence=3), system.connection)
    assert table(system, AFTER) == of(PEOPLE, AFTER)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_column_of_the_primary_key_leaves(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    first = shipment(tmp_path / "1", system.agreed("changes", columns=BEFORE), PEOPLE)
    deliver(first, system.connection)
    deliver(changed(tmp_path / "2", system, columns=("name",)), system.connection)
    assert table(system, ("name",)) == of(PEOPLE, ("name",))


def test_a_view_that_needs_a_column_of_sqlites_key_is_told_and_not_broken(tmp_path, request):
    system = consumer("sqlite", tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed("changes", columns=BEFORE), PEOPLE), system.connection)
    system.query("CREATE VIEW residents AS SELECT resident_id FROM population")
    with pytest.raises(ConsumerRefused, match="does not let us alter"):
        deliver(changed(tmp_path / "2", system, columns=("name",)), system.connection)
    assert table(system, BEFORE) == of(PEOPLE, BEFORE)
    assert len(system.query("SELECT * FROM residents")) == len(PEOPLE)


def test_a_primary_key_of_sqlite_that_the_consumer_made_is_not_altered(tmp_path, request):
    system = consumer("sqlite", tmp_path, request)
    system.query("CREATE TABLE population (resident_id VARCHAR(20) PRIMARY KEY, name TEXT, phone TEXT)")
    first = shipment(tmp_path / "1", system.agreed("changes", columns=BEFORE), PEOPLE)
    deliver(first, system.connection)
    with pytest.raises(ConsumerRefused, match="does not let us alter"):
        deliver(changed(tmp_path / "2", system, columns=("name",)), system.connection)
    assert table(system, BEFORE) == of(PEOPLE, BEFORE)


@pytest.mark.parametrize("kind", ["postgres", "mariadb", "mysql"])
def test_a_role_that_may_not_alter_says_what_to_do(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed(columns=BEFORE), PEOPLE), system.connection)
    role = system.connection.schema + "_w"
    rights = "SELECT, INSERT, UPDATE, DELETE"
    if kind == "postgres":
        system.query(f"CREATE ROLE {role} LOGIN")
        system.query(f"GRANT {rights} ON population, crossdock_delivery TO {role}")
        system.connection = replace(system.connection, login=role)
    else:
        system.query(f"CREATE USER {role}@'127.0.0.1' IDENTIFIED BY 'a secret'")
        system.query(f"GRANT {rights}, CREATE TEMPORARY TABLES ON {system.connection.schema}.* TO {role}@'127.0.0.1'")
        system.connection = replace(system.connection, login=role)
    with pytest.raises(ConsumerRefused, match="does not let us alter") as caught:
        deliver(changed(tmp_path / "2", system), system.connection)
    assert 'drop "phone"' in caught.value.fix
    assert table(system, BEFORE) == of(PEOPLE, BEFORE)
    deliver(changed(tmp_path / "3", system, PEOPLE[:1], columns=BEFORE), system.connection)
    assert table(system, BEFORE) == of(PEOPLE[:1], BEFORE)


def test_a_table_in_use_is_tried_again_later(tmp_path, request, monkeypatch):
    import psycopg

    monkeypatch.setattr("crossdock.delivery.postgres._PATIENCE", 1)
    system = consumer("postgres", tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed(columns=BEFORE), PEOPLE), system.connection)
    with psycopg.connect(system.url.replace("+psycopg", "")) as reader:
        reader.execute("SELECT count(*) FROM population")
        with pytest.raises(ConsumerUnavailable, match="55P03"):
            deliver(changed(tmp_path / "2", system), system.connection)
    deliver(changed(tmp_path / "3", system), system.connection)
    assert table(system, AFTER) == of(PEOPLE, AFTER)


def test_many_workers_alter_once(filled, tmp_path):
    shipments = [changed(tmp_path / str(i), filled) for i in range(2, 6)]
    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda s: deliver(s, filled.connection), shipments))
    assert len({(r.delivery_id, r.digest) for r in receipts}) == 1
    assert table(filled, AFTER) == of(PEOPLE, AFTER)


@pytest.mark.parametrize("step", ["staged", "altered", "changed", "marked", "committed"])
def test_killed_while_altering_and_repeated(system, tmp_path, step):
    agreed = system.agreed(columns=BEFORE)
    deliver(shipment(tmp_path / "1", agreed, FIRST), system.connection)
    assert killed_at(f"delivery.database.{step}", system, agreed=system.agreed(columns=AFTER), folder=tmp_path / "k")
    there = step == "committed"
    assert (arrived(agreed, "d2", system.connection) is not None) is there
    altered = there or (system.connection.type == "mysql" and step != "staged")  # there, altering commits by itself
    assert len(system.query("SELECT * FROM population")) == len(SECOND if there else FIRST)
    assert table(system, AFTER if altered else BEFORE)
    deliver(changed(tmp_path / "again", system, SECOND), system.connection)
    assert table(system, AFTER) == of(SECOND, AFTER)


def test_killed_while_altering_and_agreed_otherwise_meanwhile(system, tmp_path):
    deliver(shipment(tmp_path / "1", system.agreed(columns=BEFORE), FIRST), system.connection)
    assert killed_at("delivery.database.altered", system, agreed=system.agreed(columns=AFTER), folder=tmp_path / "k")
    deliver(changed(tmp_path / "back", system, SECOND, sequence=3, columns=BEFORE), system.connection)
    assert table(system, BEFORE) == of(SECOND, BEFORE)
