"""Great Expectations on a PostgreSQL server: the rows are copied into a table first, which is timed by itself."""

from __future__ import annotations

import io
import warnings

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import sqlalchemy as sa
from engine import run
from great_expectations.core.batch_spec import SqlAlchemyDatasourceBatchSpec
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from gx_suite import expectations, failing, quiet_validator

SQL = {"string": "text", "date": "date", "integer": "bigint", "number": "numeric(12, 2)", "timestamp": "timestamp"}


def load(job, path):
    engine = sa.create_engine(job.settings["url"])
    with engine.begin() as connection:
        columns = ", ".join(f"{name} {SQL[kind]}" for name, kind in job.types.items())
        connection.execute(sa.text("DROP TABLE IF EXISTS population"))
        connection.execute(sa.text(f"CREATE TABLE population ({columns})"))
        with connection.connection.cursor() as cursor:
            for batch in pq.ParquetFile(path).iter_batches(100_000):
                text = io.BytesIO()
                pacsv.write_csv(batch, text, pacsv.WriteOptions(include_header=False))
                text.seek(0)
                cursor.copy_expert("COPY population FROM STDIN (FORMAT csv)", text)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE population"))
    engine.dispose()


def judge(job, _path):
    warnings.simplefilter("ignore")
    engine = SqlAlchemyExecutionEngine(connection_string=job.settings["url"])
    data, _ = engine.get_batch_data_and_markers(
        SqlAlchemyDatasourceBatchSpec(type="table", table_name="population", schema_name="public")
    )
    engine.load_batch_data("rows", data)
    results = quiet_validator(engine).graph_validate(
        configurations=expectations(job, dates=False),
        runtime_configuration={"catch_exceptions": False, "result_format": {"result_format": "SUMMARY"}},
    )
    found = failing(results)
    engine.engine.dispose()
    return found


run(judge, ("great-expectations", "sqlalchemy", "psycopg2-binary"), load)
