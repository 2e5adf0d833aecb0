"""dlt reads one table and loads it; prints the seconds that its run took, without its imports."""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Reads from stdin what to do: source and target as URLs, backend, file format, primary key, a folder of its own."""
    order = json.load(sys.stdin)
    os.environ.update(
        RUNTIME__DLTHUB_TELEMETRY="false",
        RUNTIME__LOG_LEVEL="ERROR",
        NORMALIZE__WORKERS="2",
        LOAD__WORKERS="2",
        DATA_WRITER__DISABLE_COMPRESSION="true",
    )
    import dlt
    from dlt.destinations import filesystem, postgres
    from dlt.sources.sql_database import sql_table

    table = sql_table(
        order["source"], order["table"], backend=order["backend"], chunk_size=100_000, reflection_level="full"
    )
    table.apply_hints(primary_key=order["key"], write_disposition="merge" if order["merge"] else "replace")
    target = postgres(order["target"]) if order["merge"] else filesystem(order["target"])
    pipeline = dlt.pipeline("bench", destination=target, dataset_name="loaded", pipelines_dir=order["folder"])
    start = time.perf_counter()
    pipeline.run(table, loader_file_format=order["format"])
    sys.stdout.write(f"{time.perf_counter() - start}\n")


if __name__ == "__main__":
    main()
