"""The repository's own transforms, loaded as a contract loads them."""

from pathlib import Path

import pandas as pd  # noqa: TID253 - nothing parses tests as DAGs
import pyarrow as pa

from crossdock.validation.transform import load_transform

FOLDER = Path(__file__).parents[1] / "transforms"


def transformed(name, values, **options):
    """Applies a transform to one column `c` of text and returns its values."""
    transform = load_transform(FOLDER, name)
    batch = pa.record_batch({"c": pa.array(values, pa.string())})
    if transform.takes is pd.DataFrame:
        frame = transform.function(batch.to_pandas(types_mapper=pd.ArrowDtype), columns=["c"], **options)
        batch = pa.RecordBatch.from_pandas(frame, preserve_index=False)
    else:
        batch = transform.function(batch, columns=["c"], **options)
    return batch.column("c").to_pylist()
