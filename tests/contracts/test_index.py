import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from crossdock.contracts.index import IndexedAgreement, IndexedDataset, load_index
from crossdock.identity import content_id
from drafts import REGISTER, agreement, contract, tree, write

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture
def load(tmp_path):
    tree(tmp_path / "contracts")
    (tmp_path / "transforms").mkdir()
    return lambda: load_index(
        tmp_path / "contracts", tmp_path / "var" / "index.json", transforms=tmp_path / "transforms"
    )


def test_it_holds_what_dags_are_built_from(load, tmp_path):
    levels = [{"property": "frequency", "value": 1, "unit": "d"}]
    write(tmp_path / "contracts/police/people/contract.odcs.yaml", contract(crossdock=REGISTER, slaProperties=levels))
    write(tmp_path / "contracts/police/notes/contract.odcs.yaml", contract())  # no source: nothing to pull
    found = load()
    police, tax = found.departments
    assert (police.id, police.zh, police.en) == ("police", "公安", "Police")
    people = IndexedDataset(id="police/people", title="登记", en="Register", theme="", schedule="@daily", refers_to=())
    assert police.datasets == (people,)
    assert tax.datasets == ()
    written = tmp_path / "contracts/police/people/agreements/tax.oaas.yaml"
    shared = IndexedAgreement(
        id="police/people/tax", dataset="police/people", department="police", consumer="tax", channel="database", frequency="on_change",
        status="approved", start="2025-12-31T16:00:00.000000+00:00", end="2030-12-31T15:59:59.000000+00:00", review_due="",
        digest=content_id(yaml.safe_load(written.read_text())), deliver_by="",
    )  # fmt: skip
    assert found.shares() == {"tax": [shared]}
    assert [a.id for a in found.publications()["police"]] == ["police/people/public"]
    assert found.problems == ()


def test_it_is_read_from_the_cache_until_something_changes(load, tmp_path):
    first = load()
    cache = tmp_path / "var" / "index.json"
    written = cache.stat().st_mtime_ns
    assert load() == first
    assert cache.stat().st_mtime_ns == written
    write(tmp_path / "contracts/police/people/agreements/tax.oaas.yaml", agreement(frequency="@daily"))
    assert load().shares()["tax"][0].frequency == "@daily"
    (tmp_path / "contracts/police/people/agreements/tax.oaas.yaml").unlink()
    assert load().shares() == {}
    (tmp_path / "contracts/police/empty").mkdir()
    assert "has no contract.odcs.yaml" in load().problems[0]


def test_a_request_that_is_gone_is_known_for_a_week(load, tmp_path):
    file = tmp_path / "contracts/police/people/agreements/tax.oaas.yaml"
    (first,) = (load(), write(file, agreement(header={"status": "requested"})), load())[-1].shares()["tax"]
    write(file, agreement(header={"status": "requested", "version": "1.1.0"}))
    (second,) = load().shares()["tax"]
    (former,) = load().former
    assert replace(former, gone_at="") == first != second
    assert former.gone_at
    file.unlink()
    assert [each.digest for each in load().former] == [second.digest, first.digest]
    write(file, agreement(header={"status": "requested"}))  # as it was at first
    assert [each.digest for each in load().former] == [second.digest]
    cache = tmp_path / "var" / "index.json"
    cache.write_text(cache.read_text().replace(load().former[0].gone_at, "2026-01-01T00:00:00+00:00"))
    write(file, agreement())
    assert [each.digest for each in load().former] == [first.digest]


def test_a_process_reads_it_once(load, tmp_path):
    first = load()
    assert load() is first
    write(tmp_path / "contracts/police/people/agreements/tax.oaas.yaml", agreement(frequency="@daily"))
    assert load() is not first
    assert load() == load_index(
        tmp_path / "contracts", tmp_path / "another" / "index.json", transforms=tmp_path / "transforms"
    )


def test_a_transform_that_goes_is_noticed(load, tmp_path):
    transform = write(tmp_path / "transforms/t.py", "")
    value = REGISTER | {"transforms": [{"use": "t", "columns": ["name"]}]}
    write(tmp_path / "contracts/police/people/contract.odcs.yaml", contract(crossdock=value))
    assert load().problems == ()
    transform.unlink()
    assert "There is no transform 't'" in load().problems[0]


def test_a_file_behind_a_link_is_followed(load, tmp_path):
    real = write(tmp_path / "elsewhere.yaml", agreement(frequency="@daily"))
    link = tmp_path / "contracts/police/people/agreements/tax.oaas.yaml"
    link.unlink()
    link.symlink_to(real)
    assert load().shares()["tax"][0].frequency == "@daily"
    write(real, agreement(frequency="@hourly"))
    assert load().shares()["tax"][0].frequency == "@hourly"
    real.unlink()
    assert any("can't be read" in problem for problem in load().problems)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"stamp": "x"}', '{"stamp": 1, "index": 2}', "\xff"])
def test_a_cache_that_cannot_be_read_is_made_anew(load, tmp_path, content):
    first = load()
    (tmp_path / "var" / "index.json").write_text(content, "latin-1")
    assert load() == first
    assert json.loads((tmp_path / "var" / "index.json").read_text())["index"]


def test_where_nothing_can_be_kept_it_is_compiled_each_time(load, tmp_path):
    (tmp_path / "var").write_text("a file where the folder would be")
    assert load() == load()


def test_a_fresh_cache_needs_the_standard_library_only(load, tmp_path):
    load()
    script = """
import sys
before = set(sys.modules)
from pathlib import Path
from crossdock.contracts.index import load_index
home = Path(sys.argv[1])
index = load_index(home / "contracts", home / "var" / "index.json", transforms=home / "transforms")
assert index.departments
print(sorted({m.partition(".")[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))
"""
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True, env=environment)
    assert done.stdout.decode().strip() == "['crossdock']"


def test_two_thousand_datasets_are_indexed_in_seconds_and_read_in_milliseconds(tmp_path):
    root = tree(tmp_path / "contracts")
    text = (root / "police/people/contract.odcs.yaml").read_text("utf-8")
    for number in range(2000):
        write(root / f"police/d{number}/contract.odcs.yaml", text)
    cache, another = tmp_path / "index.json", tmp_path / "another.json"
    start = time.perf_counter()
    made = load_index(root, cache, transforms=tmp_path)
    compiled = time.perf_counter() - start
    shutil.copy(cache, another)  # which this process has not read
    start = time.perf_counter()
    read = load_index(root, another, transforms=tmp_path)
    reread = time.perf_counter() - start
    assert made == read
    assert len(made.departments[0].datasets) == 2001
    assert (compiled < 60, reread < 1) == (True, True)  # measured 2 s and 0.04 s; this guards the order of magnitude
