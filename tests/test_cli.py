"""The command line: words, exit codes and JSON documents as DESIGN section 11 fixes them."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from crossdock.cli import app
from hamlet import REFUSED, column, contract, found, key, tax_rows
from repositories import commit, git

FINE, FINDINGS, WRONG = 0, 1, 2
FINDING = {"rule", "column", "reason", "rows"}


def crossdock(*arguments, stdin=None):
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def document(ran):
    """The one JSON document on stdout."""
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def hamlet(tmp_path_factory):
    made = found(tmp_path_factory.mktemp("cli"))
    assert not made.sweep().failures
    return made


@pytest.fixture(autouse=True)
def home(hamlet, monkeypatch):
    monkeypatch.setenv("CROSSDOCK_HOME", str(hamlet.home))
    return hamlet.home


# run


def test_run(hamlet):
    ran = crossdock("run", "--json")
    assert ran.exit_code == FINDINGS  # one agreement is refused
    told = document(ran)
    assert set(told) == {"datasets", "agreements", "failures", "problems"}
    assert {d["dataset"] for d in told["datasets"]} == set(hamlet.open().catalogue.contracts)
    assert {a["agreement"]: a["status"] for a in told["agreements"]}[REFUSED] == "refused"
    assert set(told["datasets"][0]["findings"][0]) == FINDING


@pytest.mark.parametrize(("target", "datasets"), [("town_hall", 3), ("town_hall/streets", 1), ("town_hall/permits", 1)])
def test_run_a_part(target, datasets):
    told = document(crossdock("run", target, "--json"))
    assert len(told["datasets"]) == datasets
    assert all(a["agreement"].startswith(target) for a in told["agreements"])


def test_run_where_all_is_well_exits_with_0():
    assert crossdock("run", "town_hall/streets").exit_code == FINE


# counts


def test_counts(hamlet):
    told = document(crossdock("counts", "--by", "department,dataset,consumer,day", "--json"))
    assert set(told) == {"shares", "deliveries", "interfaces", "groups"}
    assert set(told["groups"][0]) == {"department", "dataset", "consumer", "day", "shares", "deliveries", "interfaces"}
    assert told["shares"] == sum(g["shares"] for g in told["groups"]) == 88 + 196 + 88 + 174 + 9
    assert told["deliveries"] == 5
    by_table = {(g["dataset"], g["consumer"]): g["shares"] for g in told["groups"]}
    assert by_table["town_hall/residents", "tax"] == len(tax_rows(hamlet, "residents"))
    assert document(crossdock("counts", "--by", "department,dataset,consumer,day", "--json", "--recount")) == told


def test_counts_of_days():
    day = document(crossdock("counts", "--by", "day", "--json"))["groups"][0]["day"]
    assert document(crossdock("counts", "--since", day, "--until", day, "--json"))["deliveries"] == 5
    assert document(crossdock("counts", "--until", "2020-01-01", "--json")) == {
        "shares": 0, "deliveries": 0, "interfaces": 0, "groups": [],
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [("--by", "colour"), ("--since", "yesterday"), ("--until", "2026-02-30")])
def test_counts_of_what_is_not(arguments):
    ran = crossdock("counts", *arguments)
    assert (ran.exit_code, ran.stdout) == (WRONG, "")
    assert arguments[1] in ran.stderr


# history


def test_history():
    told = document(crossdock("history", "--json"))["datasets"]
    assert [each["dataset"] for each in told] == ["town_hall/permits", "town_hall/residents", "town_hall/streets"]
    permits_ = told[0]
    assert (permits_["in_force"]["rows"], permits_["in_force"]["age_seconds"] > 0) == (88, True)
    (verdict,) = permits_["verdicts"]
    assert (verdict["outcome"], verdict["pass_rate"]) == ("partial", 88 / 90)
    assert verdict["profile"]["rows"] == 90
    one = crossdock("history", "town_hall/permits").stdout
    assert "97.78 %" in one
    assert "fee.between" in one


def test_history_of_what_is_not():
    ran = crossdock("history", "town_hall/permit")
    assert (ran.exit_code, "town_hall/permits" in " ".join(ran.stderr.split())) == (WRONG, True)


# who


def test_who():
    told = document(crossdock("who", "R0020", "--json"))
    assert set(told) == {"received", "lookups", "known_since"}
    assert {(r["consumer"], r["dataset"]) for r in told["received"]} == {
        ("tax", "town_hall/residents"), ("school", "town_hall/residents"), ("tax", "town_hall/permits"),
        ("school", "town_hall/permits"),
    }  # fmt: skip
    assert {r["legal_basis"] for r in told["received"]} == {"A law."}
    again = document(crossdock("who", "-", "--reason", "Asked at the counter.", "--json", stdin="r0020\n"))
    assert again["received"] == told["received"]
    assert len(again["lookups"]) == len(told["lookups"]) + 1
    kept = document(crossdock("ledger", "lookups", "--json"))["lookups"]
    assert [each["reason"] for each in kept[:2]] == ["Asked at the counter.", ""]
    assert "Asked at the counter." in crossdock("ledger", "lookups").stdout
    assert crossdock("who", "R0020", "--withheld").exit_code == WRONG
    assert crossdock("who", "R0020", "--withheld", "--reason", "An audit.").exit_code == FINE


def test_who_received_nothing():
    assert document(crossdock("who", "R9999", "--json")) == {"received": [], "lookups": [], "known_since": ""}
    assert "Nobody" in crossdock("who", "R9999").stdout
    assert crossdock("who", " ").exit_code == WRONG


# ledger


def test_ledger_verify():
    assert document(crossdock("ledger", "verify", "--json")) == {
        "sound": True, "shares": 555, "recounted": 555, "mismatch": "", "breaks": [],
    }  # fmt: skip
    assert crossdock("ledger", "verify").exit_code == FINE


def test_ledger_verify_finds_a_flipped_byte(tmp_path, monkeypatch):
    hamlet = found(tmp_path)
    hamlet.sweep()
    monkeypatch.setenv("CROSSDOCK_HOME", str(tmp_path))
    events = next((tmp_path / "var" / "store" / "ledger" / "events").iterdir())
    data = bytearray(events.read_bytes())
    data[len(data) // 2] ^= 1
    events.chmod(0o600)
    events.write_bytes(data)
    ran = crossdock("ledger", "verify", "--json")
    assert ran.exit_code == FINDINGS
    told = document(ran)
    assert told["sound"] is False
    assert events.name.partition("-")[0] in json.dumps(told["breaks"])
    assert crossdock("ledger", "verify").exit_code == FINDINGS


def test_ledger_prove_and_check(tmp_path, monkeypatch):
    found(tmp_path / "exchange").sweep()
    monkeypatch.setenv("CROSSDOCK_HOME", str(tmp_path / "exchange"))
    made = document(crossdock("deliveries", "list", "--json"))["deliveries"]
    delivery = next(d["id"] for d in made if d["agreement"] == "town_hall/residents/tax")
    assert crossdock("ledger", "prove", delivery).exit_code == WRONG  # not signed yet
    assert document(crossdock("ledger", "sign", "--json"))["sound"]
    proof, key = tmp_path / "proof.json", str(tmp_path / "public_key.pem")
    shutil.copy(tmp_path / "exchange" / "var" / "keys" / "public_key.pem", key)
    assert crossdock("ledger", "prove", delivery, "--record", "R0020", "--output", str(proof)).exit_code == FINE
    assert "R0020" not in proof.read_text("utf-8")
    asked = ("ledger", "prove", delivery, "--record", "-")
    assert document(crossdock(*asked, stdin="R0020\n")) == json.loads(proof.read_text("utf-8"))
    monkeypatch.setenv("CROSSDOCK_HOME", str(tmp_path / "nothing"))  # whoever checks has no exchange
    checking = ("ledger", "check-proof", str(proof), "--public-key", key)
    told = document(crossdock(*checking, "--json"))
    assert (told["proves"], told["delivery"], told["consumer"]) == ("record", delivery, "tax")
    assert delivery in crossdock(*checking).stdout
    proof.write_text(proof.read_text("utf-8").replace("tax", "tex"), "utf-8")
    ran = crossdock(*checking)
    assert (ran.exit_code, ran.stdout) == (FINDINGS, "")
    assert crossdock("ledger", "check-proof", str(proof), "--public-key", str(proof)).exit_code == WRONG


def test_ledger_prove_days(tmp_path, monkeypatch):
    hamlet = found(tmp_path)
    hamlet.sweep()
    monkeypatch.setenv("CROSSDOCK_HOME", str(tmp_path))
    crossdock("ledger", "sign")
    (head,) = (tmp_path / "var" / "store" / "ledger" / "heads").iterdir()
    proof = tmp_path / "days.json"
    assert crossdock("ledger", "prove", "--days", head.stem, head.stem, "--output", str(proof)).exit_code == FINE
    key = str(tmp_path / "var" / "keys" / "public_key.pem")
    told = document(crossdock("ledger", "check-proof", str(proof), "--public-key", key, "--json"))
    assert told["proves"] == "continuation"


@pytest.mark.parametrize(
    "arguments", [(), ("x", "--days", "a", "b"), ("--record", "x"), ("nobody",), ("--days", "2020-01-01", "2020-01-02")]
)
def test_ledger_prove_used_wrongly(arguments):
    assert crossdock("ledger", "prove", *arguments).exit_code == WRONG


# quarantine


def test_quarantine_list():
    (residents, permits) = sorted(
        document(crossdock("quarantine", "list", "--json"))["quarantine"], key=lambda v: -v["rows"]
    )
    assert (residents["dataset"], residents["rows"], residents["quarantined"]) == ("town_hall/residents", 200, 4)
    assert {f["rule"]: f["rows"] for f in permits["findings"]} == {"fee.type": 1, "fee.between": 1}
    only = document(crossdock("quarantine", "list", "town_hall/permits", "--json"))["quarantine"]
    assert only == [permits]


def test_quarantine_show(tmp_path):
    (held,) = document(crossdock("quarantine", "list", "town_hall/permits", "--json"))["quarantine"]
    target = tmp_path / "failed.parquet"
    ran = crossdock("quarantine", "show", held["verdict"], "--output", target, "--json")
    told = document(ran)
    assert (ran.exit_code, told | {"status": "open", "closed_at": None, "closed_by": None}) == (FINE, held | told)
    assert {sample["arrival"]: sample["shapes"] for sample in told["samples"]} == {
        3: {"fee": "a aaa"},
        4: {"fee": "-9.99"},
    }
    rows = pq.read_table(target).to_pylist()
    assert [(r["permit_no"], r["fee"]) for r in rows] == [("P0003", "a lot"), ("P0004", "-1.00")]  # as they arrived
    assert target.stat().st_mode & 0o777 == 0o600
    assert "fee.type" in crossdock("quarantine", "show", held["verdict"]).stdout


def test_quarantine_show_what_is_not_or_cannot_be(tmp_path):
    assert crossdock("quarantine", "show", "none").exit_code == WRONG
    (held,) = document(crossdock("quarantine", "list", "town_hall/permits", "--json"))["quarantine"]
    for target in (tmp_path / "no" / "folder.parquet", tmp_path / "rows.txt"):
        ran = crossdock("quarantine", "show", held["verdict"], "--output", target)
        assert ran.exit_code == WRONG
        assert target.name in ran.stderr.replace("\n", "")


def test_quarantine_release_and_replay(tmp_path, monkeypatch):
    made = found(tmp_path)
    monkeypatch.setenv("CROSSDOCK_HOME", str(made.home))
    made.sweep()
    assert document(crossdock("quarantine", "replay", "--json")) == {
        "replays": [{"dataset": d, "rows": n, "mended": 0, "verdict": None}
                    for d, n in (("town_hall/permits", 2), ("town_hall/residents", 4))],
        "agreements": [], "failures": [],
    }  # fmt: skip
    assert "nothing that its 2 rows are judged by" in crossdock("quarantine", "replay", "town_hall/permits").stdout
    (held,) = document(crossdock("quarantine", "list", "town_hall/permits", "--json"))["quarantine"]
    ran = crossdock("quarantine", "release", held["verdict"], "--reason", "A refund.", "--by", "ada", "--json")
    told = document(ran)
    assert (ran.exit_code, told["waiver"]["released_by"], told["waiver"]["rows"]) == (FINE, "ada", 1)
    (replay,) = told["replays"]
    assert (replay["dataset"], replay["rows"], replay["mended"]) == ("town_hall/permits", 2, 1)
    assert {a["agreement"]: a["counts"]["inserted"] for a in told["agreements"]} == {
        "town_hall/permits/tax": 1, "town_hall/permits/school": 89,
    }  # fmt: skip
    both = document(crossdock("quarantine", "list", "town_hall/permits", "--all", "--json"))["quarantine"]
    assert [entry["status"] for entry in both] == ["open", "replayed"]
    assert crossdock("quarantine", "release", held["verdict"], "--reason", "Again.").exit_code == WRONG
    assert crossdock("quarantine", "replay", "nowhere").exit_code == WRONG
    assert "waived" in crossdock("quarantine", "show", both[0]["verdict"]).stdout


def test_quarantine_findings(tmp_path):
    (held,) = document(crossdock("quarantine", "list", "town_hall/permits", "--json"))["quarantine"]
    target = tmp_path / "findings.csv"
    assert crossdock("quarantine", "show", held["verdict"], "--findings", target).exit_code == FINE
    rows = pacsv.read_csv(target).to_pylist()
    assert [row["permit_no"] for row in rows] == ["P0003", "P0004"]
    assert [(row["reason"], row["reason_zh"]) for row in rows] == [
        ("It is no valid number.", "不是有效的数值。"), ("It is not at least 0.", "数值应不少于 0。"),
    ]  # fmt: skip


# deliveries


def test_deliveries_list():
    told = document(crossdock("deliveries", "list", "--json"))
    assert set(told) == {"deliveries", "refusals", "recalls"}
    assert len(told["deliveries"]) == 5
    assert {r["agreement"] for r in told["refusals"]} == {REFUSED}
    (taxes, none) = (document(crossdock("deliveries", "list", "--consumer", c, "--json")) for c in ("tax", "nobody"))
    assert {d["consumer"] for d in taxes["deliveries"]} == {"tax"}
    assert none == {"deliveries": [], "refusals": [], "recalls": []}
    assert "expired" in crossdock("deliveries", "list").stdout
    assert document(crossdock("deliveries", "--json")) == told
    assert crossdock("deliveries").stdout == crossdock("deliveries", "list").stdout


def test_deliveries_show():
    first = document(crossdock("deliveries", "list", "--consumer", "tax", "--json"))["deliveries"][0]
    told = document(crossdock("deliveries", "show", first["id"], "--json"))
    assert set(told) == {"delivery", "manifest", "given_up"}
    assert told["manifest"]["delivery"] == told["delivery"]["id"] == first["id"]
    assert told["delivery"] == first
    assert first["id"] in crossdock("deliveries", "show", first["id"]).stdout
    assert crossdock("deliveries", "show", "none").exit_code == WRONG


def test_deliveries_recall_and_verify(tmp_path, monkeypatch):
    own = found(tmp_path)
    own.sweep()
    monkeypatch.setenv("CROSSDOCK_HOME", str(own.home))
    made = document(crossdock("deliveries", "list", "--consumer", "school", "--json"))["deliveries"]
    first = next(d for d in made if d["agreement"] == "town_hall/permits/school")
    folder, key = first["receipt"]["location"], own.home / "var" / "keys" / "public_key.pem"
    told = document(crossdock("deliveries", "verify", folder, "--public-key", key, "--json"))
    assert told == {
        "sound": True, "delivery": first["id"], "dataset": "town_hall/permits", "rows": 88, "files": ["rows.csv"], "faults": [],
    }  # fmt: skip
    assert "sound" in crossdock("deliveries", "verify", folder, "--public-key", key).stdout
    ran = crossdock("deliveries", "recall", first["id"], "--reason", "Sent by mistake.", "--json")
    assert ran.exit_code == FINE
    (outcome,) = document(ran)["recalls"]
    assert (outcome["status"], outcome["counts"]["deleted"]) == ("delivered", 88)
    listed = crossdock("deliveries", "list")
    assert "Sent by mistake." in listed.stdout
    assert "recalled" in listed.stdout
    (on_record,) = document(crossdock("deliveries", "list", "--json"))["recalls"]
    assert (on_record["id"], on_record["recalled"]) == (outcome["delivery"], first["id"])
    assert document(crossdock("ledger", "verify", "--json"))["sound"]
    assert crossdock("deliveries", "recall", "nothing", "--reason", "x").exit_code == WRONG
    (Path(folder) / "rows.csv").write_text("changed")
    spoiled = crossdock("deliveries", "verify", folder, "--public-key", key)
    assert spoiled.exit_code == FINDINGS
    assert "not the file that was signed" in spoiled.stdout


@pytest.mark.usefixtures("home")
def test_deliveries_backlog_and_expire():
    assert document(crossdock("deliveries", "backlog", "--json")) == {"backlog": []}
    assert "Nobody is owed anything." in crossdock("deliveries", "backlog").stdout
    assert document(crossdock("deliveries", "expire", "--json")) == {"forgotten": 0}


def test_deliveries_errors_and_retry(tmp_path, monkeypatch):
    own = found(tmp_path)
    with closing(sqlite3.connect(own.tax)) as database, database:
        database.execute(
            "CREATE TABLE permits (permit_no TEXT PRIMARY KEY, holder TEXT, fee TEXT CHECK (fee <> '20.50'))"
        )
    own.sweep()
    monkeypatch.setenv("CROSSDOCK_HOME", str(own.home))
    listed = crossdock("deliveries", "errors", "--json")
    assert listed.exit_code == FINDINGS
    rejected = document(listed)["rejected"]
    assert {(each["agreement"], each["reason"], each["attempts"]) for each in rejected} == {
        ("town_hall/permits/tax", "check", 1)
    }
    assert "check" in crossdock("deliveries", "errors", "town_hall/permits/tax").stdout
    assert "Nothing is rejected." in crossdock("deliveries", "errors", "town_hall/permits/school").stdout
    tried = crossdock("deliveries", "retry", "town_hall/permits/tax", "--json")
    assert document(tried)["tried"] == document(tried)["rejected"] == len(rejected)
    assert tried.exit_code == FINDINGS
    assert crossdock("deliveries", "retry", "nobody/nothing/none").exit_code == WRONG
    owed = document(crossdock("deliveries", "backlog", "--json"))["backlog"]
    assert [(each["agreement"], each["state"], each["rejected"]) for each in owed] == [
        ("town_hall/permits/tax", "rejected", len(rejected))
    ]


# agreements


def test_agreements(tmp_path, monkeypatch):
    own = found(tmp_path)
    file = own.agreement("permits", "tax")
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"status": "requested"}))
    own.sweep()
    monkeypatch.setenv("CROSSDOCK_HOME", str(own.home))
    (asked,) = document(crossdock("agreements", "requests", "--json"))["requests"]
    assert (asked["agreement"], asked["review"]) == ("town_hall/permits/tax", None)
    assert crossdock("agreements", "reject", asked["agreement"]).exit_code == WRONG
    told = document(crossdock("agreements", "approve", asked["agreement"], "--by", "provider", "--json"))
    assert told["review"]["approved"]
    assert "approved" in crossdock("agreements", "requests").stdout
    assert crossdock("agreements", "reject", asked["agreement"], "--reason", "Late.").exit_code == WRONG


# keys


def test_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOCK_HOME", str(found(tmp_path).home))
    (first,) = document(crossdock("keys", "list", "--json"))["pseudonym_keys"]
    assert (first["version"], first["in_use"]) == (1, True)
    assert document(crossdock("keys", "rotate", "--json"))["version"] == 2
    assert "Version 3 is in use" in crossdock("keys", "rotate").stdout
    used = [v["version"] for v in document(crossdock("keys", "list", "--json"))["pseudonym_keys"] if v["in_use"]]
    assert used == [3]
    assert document(crossdock("keys", "rotate", "--ledger", "--json"))["version"] == 2
    assert "older events" in crossdock("keys", "rotate", "--ledger").stdout
    found_now = document(crossdock("keys", "list", "--json"))
    assert [(v["version"], v["in_use"]) for v in found_now["ledger_keys"]] == [(1, False), (2, False), (3, True)]
    assert len(found_now["pseudonym_keys"]) == 3
    secrets = [path.read_text().strip() for path in (tmp_path / "var" / "keys").glob("*_key*") if path.suffix != ".pem"]
    assert len(secrets) == 6
    assert not any(secret in crossdock("keys", "list").stdout for secret in secrets)


# explain


def test_explain():
    said = document(crossdock("explain", "town_hall/residents/tax", "--json"))
    assert said["example"][0]["phone"] == "99****99"
    assert said["allowed"]
    shown = crossdock("explain", "town_hall/residents/tax")
    assert shown.exit_code == FINE
    assert "mask (first 2 and last 2 characters kept)" in shown.stdout
    assert crossdock("explain", "town_hall/residents/nobody").exit_code == WRONG


def test_explain_in_chinese(monkeypatch):
    asked = crossdock("explain", "town_hall/residents/tax", "--language", "zh")
    assert asked.exit_code == FINE
    shown = (
        asked.stdout.replace("town_hall", "").replace("residents", "").replace("tax_database", "").replace("tax", "")
    )
    for name in ("resident_no", "name", "phone", "street", "born", "note", "changed_at", "UTC", "test", "law"):
        shown = shown.replace(name, "")
    assert not re.search("[A-Za-z]{3,}", shown.replace("AAAA", "")), shown  # headings and sentences all of them
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert crossdock("explain", "town_hall/residents/tax").stdout == asked.stdout
    assert "last delivery" in crossdock("explain", "town_hall/residents/tax", "--language", "en").stdout
    assert (
        document(crossdock("explain", "town_hall/residents/tax", "--json"))["columns"][0]["form"] == "as it is"
    )  # JSON is one
    assert (
        document(crossdock("explain", "town_hall/residents/tax", "--json", "--language", "zh"))["columns"][0]["form"]
        == "原样"
    )
    assert crossdock("explain", "town_hall/residents/tax", "--language", "fr").exit_code == WRONG
    assert "没有申请。" in crossdock("agreements", "requests").stdout


# lint


def test_lint(home):
    ran = crossdock("lint", "--json")
    assert ran.exit_code == FINE
    assert document(ran) == {"departments": 4, "contracts": 3, "agreements": 6, "problems": []}
    assert "no problems" in crossdock("lint", home / "contracts").stdout


def test_lint_names_file_line_and_fix(tmp_path):
    promise = contract("shop", [key("no"), column("price", "nubmer")])
    file = tmp_path / "shop.odcs.yaml"
    file.write_text(yaml.safe_dump(promise, sort_keys=False))
    ran = crossdock("lint", file, "--json")
    assert ran.exit_code == WRONG
    (problem,) = document(ran)["problems"]
    assert set(problem) == {"file", "line", "path", "what", "fix"}
    line = file.read_text().splitlines()[problem["line"] - 1]
    assert (problem["file"], line.split()) == (str(file), ["logicalType:", "nubmer"])
    assert "number" in problem["what"] + problem["fix"]
    assert crossdock("lint", tmp_path / "nothing").exit_code == WRONG


def test_lint_against_a_revision(home, tmp_path):
    folder = tmp_path / "repository" / "contracts"
    shutil.copytree(home / "contracts", folder)
    git(folder.parent, "init", "-q")
    commit(folder.parent)
    ran = crossdock("lint", folder, "--against", "HEAD", "--json")
    assert (ran.exit_code, document(ran)["datasets"], document(ran)["findings"]) == (FINE, [], [])
    change_fee(folder / "town_hall" / "permits" / "contract.odcs.yaml")
    ran = crossdock("lint", folder, "--against", "HEAD", "--json")
    assert ran.exit_code == FINDINGS
    assert document(ran)["problems"] == []
    assert [f["path"] for f in document(ran)["findings"]] == ["version", ""]
    told = crossdock("lint", folder, "--against", "HEAD")
    assert "no problems" in told.stdout
    assert "2.0.0" in told.stderr
    wrong = crossdock("lint", folder, "--against", "nowhere", "--json")
    assert (wrong.exit_code, wrong.stdout) == (WRONG, "")


# diff


def change_fee(file: Path, **header) -> None:
    """Gives the fee of a permit more digits after the point."""
    promise = yaml.safe_load(file.read_text("utf-8"))
    promise["schema"][0]["properties"][2]["physicalType"] = "decimal(10,4)"
    file.write_text(yaml.safe_dump(promise | header, allow_unicode=True, sort_keys=False), "utf-8")


def test_diff(home, tmp_path):
    old, new = home / "contracts" / "town_hall" / "permits", tmp_path / "town_hall" / "permits"
    shutil.copytree(old, new)
    change_fee(new / "contract.odcs.yaml")
    ran = crossdock("diff", old / "contract.odcs.yaml", new / "contract.odcs.yaml", "--json")
    assert ran.exit_code == FINDINGS
    told = document(ran)
    (dataset,) = told["datasets"]
    assert (dataset["dataset"], dataset["required_version"]) == ("town_hall/permits", "2.0.0")
    (change,) = dataset["changes"]
    assert (change["level"], change["columns"], change["breaks"]) == ("major", ["fee"], True)
    assert [b["consumer"] for b in dataset["breaks"]] == ["tax"]
    assert len(told["findings"]) == 2
    shown = crossdock("diff", old / "contract.odcs.yaml", new / "contract.odcs.yaml")
    assert "decimal(10,4)" in shown.stdout
    assert "'tax' would break" in " ".join(shown.stderr.split())


def test_diff_of_folders_and_what_it_takes(home, tmp_path):
    shutil.copytree(home / "contracts", tmp_path / "new")
    assert crossdock("diff", home / "contracts", tmp_path / "new").exit_code == FINE
    permits = tmp_path / "new" / "town_hall" / "permits"
    change_fee(permits / "contract.odcs.yaml", version="2.0.0")
    assert crossdock("diff", home / "contracts", tmp_path / "new").exit_code == FINDINGS
    tax = permits / "agreements" / "tax.oaas.yaml"
    tax.write_text(tax.read_text("utf-8").replace("version: 1.0.0", "version: 1.1.0"), "utf-8")
    assert crossdock("diff", home / "contracts", tmp_path / "new").exit_code == FINE


def test_diff_used_wrongly(home, tmp_path):
    permits = home / "contracts" / "town_hall" / "permits" / "contract.odcs.yaml"
    for arguments in ((permits, tmp_path / "none.yaml"), (home / "contracts", permits), (permits,)):
        ran = crossdock("diff", *arguments, "--json")
        assert (ran.exit_code, ran.stdout) == (WRONG, "")


# validate: contracts and data that crossdock has never seen, with no exchange around

LONG = ["00000000000000000001", "12345678901234567890", "98765432109876543210"]
CITIES = ["贵阳", "遵义", "毕节"]


def foreign(tmp_path, **source) -> Path:
    """A contract as somebody else would write it: without crossdock's property, unless the encoding must be told."""
    promise = contract(
        "orders",
        [
            key("order_no"),
            column("postcode", required=True, logicalTypeOptions={"pattern": r"^\d{5}$"}),
            column("city", required=True),
            column("amount", "number", physicalType="decimal(10,2)", logicalTypeOptions={"minimum": 0}),
            column("ordered_on", "date"),
        ],
    )
    if source:
        (ours,) = promise["customProperties"]
        ours["value"]["source"] = {"kind": "files", "connection": "elsewhere", "path": "x", **source}
    else:
        del promise["customProperties"]
    file = tmp_path / "orders.odcs.yaml"
    file.write_text(yaml.safe_dump(promise, allow_unicode=True, sort_keys=False), "utf-8")
    return file


def orders(**changed):
    """Three orders, sound unless changed: column=[three texts]."""
    sound = {
        "order_no": LONG, "postcode": ["01067", "55000", "56300"], "city": CITIES, "amount": ["0.10", "12.50", "7"],
        "ordered_on": ["2026-01-01", "2026-02-28", ""],
    }  # fmt: skip
    return sound | changed


def write(path: Path, columns: dict[str, list[str]], encoding="utf-8"):
    names, rows = list(columns), list(zip(*columns.values(), strict=True))
    if path.suffix == ".csv":
        path.write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n", encoding)
    elif path.suffix == ".jsonl":
        objects = [{n: v or None for n, v in zip(names, row, strict=True)} for row in rows]
        path.write_text("\n".join(json.dumps(o, ensure_ascii=False) for o in objects) + "\n", encoding)
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in [names, *rows]:
            book.active.append(row)
        book.save(path)
    else:
        table = pa.table({n: pa.array([v or None for v in values]) for n, values in columns.items()})
        pq.write_table(table, path)
    return path


FORMS = ["csv", "jsonl", "xlsx", "parquet"]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No exchange: an empty folder."""
    monkeypatch.setenv("CROSSDOCK_HOME", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", FORMS)
def test_validate_sound_data(nowhere, form):
    ran = crossdock("validate", foreign(nowhere), write(nowhere / f"data.{form}", orders()), "--json")
    assert (ran.exit_code, ran.stderr) == (FINE, "")
    assert document(ran) == {"outcome": "accepted", "rows": 3, "accepted": 3, "quarantined": 0, "findings": []}
    assert not (nowhere / "nowhere").exists()


@pytest.mark.parametrize("kept", ["csv", "parquet"])
@pytest.mark.parametrize("form", FORMS)
def test_validate_faulty_data(nowhere, form, kept):
    faulty = orders(postcode=["01067", "1067", "56300"], amount=["0.10", "12.50", "0.001"], city=["贵阳", "遵义", ""])
    data, target = write(nowhere / f"data.{form}", faulty), nowhere / f"failed.{kept}"
    ran = crossdock("validate", foreign(nowhere), data, "--json", "--quarantine", target)
    assert ran.exit_code == FINDINGS
    told = document(ran)
    assert set(told) == {"outcome", "rows", "accepted", "quarantined", "findings"}
    assert (told["outcome"], told["rows"], told["accepted"], told["quarantined"]) == ("partial", 3, 1, 2)
    assert {f["rule"]: (f["column"], f["rows"]) for f in told["findings"]} == {
        "postcode.pattern": ("postcode", 1), "amount.type": ("amount", 1), "city.not_null": ("city", 1),
    }  # fmt: skip
    everything_text = pacsv.ConvertOptions(column_types={n: pa.string() for n in faulty})
    rows = pacsv.read_csv(target, convert_options=everything_text) if kept == "csv" else pq.read_table(target)
    assert rows["_arrival"].to_pylist() == [1, 2]
    assert rows["order_no"].to_pylist() == LONG[1:]
    assert rows["postcode"].to_pylist() == ["1067", "56300"]
    assert rows["amount"].to_pylist() == ["12.50", "0.001"]
    reasons = rows["_failures"].to_pylist()
    broken = reasons if kept == "csv" else [", ".join(f["rule"] for f in each) for each in reasons]
    assert [set(text.split(", ")) for text in broken] == [{"postcode.pattern"}, {"amount.type", "city.not_null"}]
    assert target.stat().st_mode & 0o777 == 0o600


def test_validate_gb18030(nowhere):
    promise = foreign(nowhere, format="csv", encoding="gb18030")
    data = write(nowhere / "data.csv", orders(city=["𠮷林", "遵义", "毕节"]), "gb18030")
    target = nowhere / "failed.parquet"
    assert document(crossdock("validate", promise, data, "--json", "--quarantine", target))["outcome"] == "accepted"
    assert len(pq.read_table(target)) == 0  # asked for, and nothing failed
    assert crossdock("validate", promise, data).exit_code == FINE
    wrong = crossdock("validate", foreign(nowhere), data)
    assert wrong.exit_code == WRONG
    assert "gb18030" in wrong.stderr.lower()


def test_validate_rejects_what_lacks_a_column(nowhere):
    columns = orders()
    del columns["city"]
    ran = crossdock("validate", foreign(nowhere), write(nowhere / "data.csv", columns), "--json")
    assert ran.exit_code == FINDINGS
    told = document(ran)
    assert (told["outcome"], told["accepted"], told["quarantined"]) == ("rejected", 0, 3)
    assert "city" in {f["column"] for f in told["findings"]}


def test_validate_for_people(nowhere):
    ran = crossdock("validate", foreign(nowhere), write(nowhere / "data.csv", orders(postcode=["x", "y", "55000"])))
    assert ran.exit_code == FINDINGS
    for word in ("partial", "3 rows", "1 accepted", "2 quarantined", "postcode.pattern"):
        assert word in ran.stdout


def test_validate_with_a_reference(nowhere, hamlet):
    contracts = hamlet.home / "contracts" / "town_hall"
    promise, streets = contracts / "residents" / "contract.odcs.yaml", nowhere / "streets.csv"
    streets.write_text("code,name\nS1,One\n")
    data = nowhere / "residents.csv"
    data.write_text(
        "resident_no,name,phone,street,born,note,changed_at\n"
        "R0001,王,12345678,S1,2000-01-01,,2026-01-01T00:00:00\nR0002,李,12345678,S2,2000-01-01,,2026-01-01T00:00:00\n"
    )
    missing = crossdock("validate", promise, data, "--json")
    assert (missing.exit_code, missing.stdout) == (WRONG, "")
    assert "--reference town_hall/streets=FILE" in " ".join(missing.stderr.split())
    told = document(crossdock("validate", promise, data, "--reference", f"town_hall/streets={streets}", "--json"))
    assert (told["quarantined"], told["findings"][0]["rule"]) == (1, "street.reference")
    assert crossdock("validate", promise, data, "--reference", "streets.csv").exit_code == WRONG


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing.odcs.yaml", "data.csv"),
        ("orders.odcs.yaml", "nothing.csv"),
        ("orders.odcs.yaml", "data.txt"),
        ("orders.odcs.yaml", "data.csv", "--quarantine", "no/folder.parquet"),
        ("orders.odcs.yaml", "data.csv", "--quarantine", "failed.txt"),
        ("orders.odcs.yaml", "data.csv", "--quarantine", "data.csv"),
        ("orders.odcs.yaml", "data.csv", "--quarantine", "folder.csv"),
        ("orders.odcs.yaml", "data.csv", "--docs", "no/page.html"),
        ("orders.odcs.yaml", "data.csv", "--docs", "page.txt"),
        ("orders.odcs.yaml",),
        ("orders.odcs.yaml", "data.csv", "--bogus"),
    ],
)
def test_validate_used_wrongly(nowhere, arguments):
    foreign(nowhere)
    write(nowhere / "data.csv", orders())
    (nowhere / "data.txt").write_text("?")
    (nowhere / "folder.csv").mkdir()
    ran = crossdock("validate", *arguments, "--json")
    assert (ran.exit_code, ran.stdout) == (WRONG, "")
    assert ran.stderr


# draft


def test_draft(nowhere):
    data = write(nowhere / "orders.csv", orders())
    ran = crossdock("draft", data)
    assert ran.exit_code == FINE
    assert yaml.safe_load(ran.stdout)["status"] == "draft"  # the contract alone is on stdout
    assert "confirm" in ran.stderr
    target = nowhere / "contract.yaml"
    ran = crossdock("draft", data, "--department", "shop", "--dataset", "sales", "--output", target)
    assert ran.exit_code == FINE
    assert "postcode" in ran.stdout
    assert yaml.safe_load(target.read_text("utf-8"))["name"] == "sales"
    unconfirmed = crossdock("validate", target, data)
    assert unconfirmed.exit_code == WRONG
    assert "Column 'postcode': a person must confirm" in " ".join(unconfirmed.stderr.split())
    assert crossdock("lint", target).exit_code == WRONG


def test_draft_as_json(nowhere):
    told = document(crossdock("draft", write(nowhere / "orders.csv", orders()), "--json"))
    assert set(told) == {"rows", "columns", "confirm", "contract"}
    assert set(told["columns"][0]) == {
        "name", "source_name", "type", "missing", "key", "classification", "reason", "confirm",
    }  # fmt: skip
    assert {c["name"]: c["type"] for c in told["columns"]} == {
        "order_no": "string", "postcode": "string", "city": "string", "amount": "decimal(18,2)", "ordered_on": "date",
    }  # fmt: skip


def test_draft_from_a_database():
    told = document(crossdock("draft", "--connection", "town_database", "--table", "residents", "--json"))
    assert (told["rows"], len(told["columns"])) == (200, 7)


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("nothing.csv",), ("orders.csv", "--table", "t"), ("--connection", "c"), ("--table", "t"),
        ("--connection", "nowhere", "--table", "t"), ("orders.csv", "--output", "x.txt"),
        ("orders.csv", "--output", "there.yaml"), ("orders.csv", "--output", "no/folder.yaml"),
    ],
)  # fmt: skip
def test_draft_used_wrongly(nowhere, arguments):
    write(nowhere / "orders.csv", orders())
    (nowhere / "there.yaml").write_text("mine")
    ran = crossdock("draft", *arguments, "--json")
    assert (ran.exit_code, ran.stdout) == (WRONG, "")
    assert ran.stderr
    assert (nowhere / "there.yaml").read_text() == "mine"


# no exchange


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("counts",),
        ("who", "x"),
        ("ledger", "verify"),
        ("quarantine", "list"),
        ("deliveries", "list"),
        ("history",),
    ],
)
@pytest.mark.usefixtures("nowhere")
def test_where_there_is_no_exchange_nothing_is_made(nowhere, arguments):
    ran = crossdock(*arguments)
    assert (ran.exit_code, ran.stdout) == (WRONG, "")
    assert "CROSSDOCK_HOME" in " ".join(ran.stderr.split())
    assert list(nowhere.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("run",), ("counts", "--by", "consumer"), ("who", "R0020"), ("ledger", "verify"), ("quarantine", "list"),
        ("deliveries", "list"), ("lint",), ("history",),
    ],
)  # fmt: skip
def test_people_get_no_json_and_programs_nothing_else(arguments):
    ran = crossdock(*arguments)
    assert "{" not in ran.stdout.replace("{contract}", "")
    if arguments:
        assert crossdock(*arguments, "--json").stdout.startswith("{")
