"""What fails under Airflow quotes no row: not in a log, not in XCom, not in Airflow's database, not on a terminal."""

from __future__ import annotations

import shutil
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from crossdock.storage.records import verdicts
from hamlet import agreement, column, contract, found, key, write_yaml
from killing import code, start
from provinces import ROOT, run

RUNNER = Path(__file__).with_name("dag_runs.py")
WORD, NUMBER, DAY, INSTANT = "SECRETWORD", "918273645.25", "1871-11-13", "1872-12-14T15:16:17"
PLAIN = """import pyarrow as pa
def plain(batch: pa.RecordBatch, *, columns) -> pa.RecordBatch:
    found = batch.column("word")[0].as_py()
    raise ValueError(f"cannot standardise {found}")
"""
DEEP = """import pandas as pd
def deep(frame: pd.DataFrame, *, columns) -> pd.DataFrame:
    try:
        int(frame["word"][0])
    except ValueError as error:
        raise KeyError(frame["word"][0]) from error
"""
SOURCES = {
    "service": {"kind": "http", "connection": "town_service", "path": "/400"},
    "cast": {"kind": "database", "connection": "town_postgres", "table": "cast_fails"},
    **{
        name: {"kind": "files", "connection": "town_files", "path": f"{name}"}
        for name in ("ragged.csv", "page.parquet")
    },
    **{name: {"kind": "files", "connection": "town_files", "path": "sound.csv"} for name in ("plain", "deep")},
}
COLUMNS = [key("no"), column("word"), column("number", "integer"), column("day", "date"), column("at", "timestamp")]


class Talkative(BaseHTTPRequestHandler):
    """A service that quotes a row in whatever it answers."""

    def do_GET(self):
        body = f'{{"error": "could not read {WORD}", "rows": [{{"no": "{WORD}"'.encode()
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def write_sources(hamlet, postgres):
    """Sources that can't be read, each quoting a row if it may; and one whose rows break their types."""
    lines = f"no,word,number,day,at\n1,{WORD},1,2020-01-01,2020-01-01T00:00:00\n"
    files = {
        "sound.csv": lines,
        "ragged.csv": lines + f"2,{WORD},{NUMBER}\n",
        "typed.csv": lines.replace(WORD, "SOUND") + f"2,{WORD},{NUMBER},{DAY},x\n3,,1,x,{INSTANT}\n4,,,,\n",
    }
    for name, text in files.items():
        (hamlet.sources / name).write_text(text)
    table = pa.table({"no": ["1"], "word": [WORD * 20]})
    pq.write_table(table, hamlet.sources / "page.parquet", compression="none", use_dictionary=False)
    sound = (hamlet.sources / "page.parquet").read_bytes()
    (hamlet.sources / "page.parquet").write_bytes(sound.replace(WORD.encode(), b"\xff\xfe" + WORD[2:].encode()))
    connection, url = postgres.new_database()
    engine = sa.create_engine(url)
    with engine.begin() as session:
        session.exec_driver_sql(f"CREATE TABLE t AS SELECT '1'::text AS no, '{WORD}'::text AS word")
        session.exec_driver_sql(
            "CREATE VIEW cast_fails AS SELECT no, word, word::int AS number, now()::date AS day, now() AS at FROM t"
        )
    engine.dispose()
    address = {"conn_type": "postgres", "host": "127.0.0.1", "port": connection.port, "login": "crossdock"}
    hamlet.add_connection("town_postgres", address | {"schema": connection.schema})


def write_contracts(hamlet):
    for name, source in SOURCES.items():
        dataset = name.replace(".", "_")
        used = {"transforms": [{"use": dataset, "columns": ["word"]}]} if dataset in ("plain", "deep") else {}
        write_yaml(hamlet.contract(dataset), contract(dataset, COLUMNS, source=source, **used))
    typed = {"kind": "files", "connection": "town_files", "path": "typed.csv"}
    write_yaml(hamlet.contract("typed"), contract("typed", COLUMNS, source=typed))
    to_school = {"channel": "folder", "connection": "school_folder", "mode": "full", "path": "typed"}
    agreed = agreement("typed", "school", [c["name"] for c in COLUMNS], delivery=to_school)
    write_yaml(hamlet.agreement("typed", "school"), agreed)
    (hamlet.home / "transforms" / "plain.py").write_text(PLAIN)
    (hamlet.home / "transforms" / "deep.py").write_text(DEEP)


@pytest.fixture(scope="module")
def ran(tmp_path_factory, postgres):
    """A hamlet after its DAGs, and a run on the command line, met every one of them; and all that was said."""
    hamlet = found(tmp_path_factory.mktemp("discreet"))
    shutil.copytree(ROOT / "dags", hamlet.home / "dags", ignore=shutil.ignore_patterns("__pycache__", "examples"))
    shutil.copy(ROOT / "airflow.cfg", hamlet.home)
    (hamlet.home / "plugins").symlink_to(ROOT / "plugins")
    write_sources(hamlet, postgres)
    write_contracts(hamlet)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Talkative)
    Thread(target=server.serve_forever, daemon=True).start()
    hamlet.add_connection("town_service", {"conn_type": "http", "host": f"http://127.0.0.1:{server.server_port}"})
    assert run(hamlet.home, "-m", "crossdock.airflow.secrets").code == 0
    names = ("receive__town_hall", "share__school", "publish__town_hall")
    done = run(hamlet.home, str(RUNNER), str(hamlet.home / "result.json"), *names)
    codes = [code(start(hamlet.home, arguments=("run", "--json")))]
    server.shutdown()
    server.server_close()
    assert (done.code, codes) == (0, [1]), done.stderr[-3000:]
    said = done.stdout + done.stderr + (hamlet.home / "said.txt").read_text("utf-8")
    return hamlet, said + (hamlet.home / "result.json").read_text("utf-8")


def test_each_of_them_failed_and_said_so(ran):
    hamlet, said = ran
    told = {
        "service": "status 400", "cast": "town_postgres", "ragged_csv": "Line 3", "page_parquet": "not UTF-8",
        "plain": "plain.py", "deep": "deep.py",
    }  # fmt: skip
    assert [text for text in told.values() if text not in said] == []
    judged = {v.dataset.partition("/")[2]: v.outcome for v in verdicts(hamlet.open().state)}
    assert judged.keys() & told.keys() == set()
    assert judged["typed"] == "partial"


@pytest.mark.parametrize("secret", [WORD, NUMBER, DAY, INSTANT])
def test_no_row_is_quoted(ran, secret):
    hamlet, said = ran
    assert secret not in said
    var = hamlet.home / "var"
    files = [f for f in var.rglob("*") if f.is_file() and not f.is_relative_to(hamlet.sources)]
    areas = {f.relative_to(var).parts[:2] for f in files if secret.encode() in f.read_bytes() + seen(f)}
    assert areas <= {("store", "landing"), ("store", "quarantine")}


def test_the_search_looks_where_airflow_writes(ran):
    """Else the test above proves nothing."""
    hamlet, said = ran
    assert b"town_hall/typed" in seen(hamlet.home / "var" / "airflow.db")
    assert "AirflowFailException" in said  # Airflow's own tracebacks of our errors


def seen(file):
    """What a reader of the file's format sees."""
    if file.suffix == ".parquet":
        return repr(pq.read_table(file).to_pylist()).encode()
    if file.suffix == ".db":
        with sqlite3.connect(file) as database:
            dump = "\n".join(database.iterdump()).encode()
        database.close()
        return dump
    return b""
