"""Great Expectations on pandas: read from parquet, one validator over all rules."""

from __future__ import annotations

import warnings

import pandas as pd
from engine import run
from great_expectations.execution_engine import PandasExecutionEngine
from gx_suite import expectations, failing, quiet_validator


def judge(job, path):
    warnings.simplefilter("ignore")
    frame = pd.read_parquet(path)
    validator = quiet_validator(PandasExecutionEngine(batch_data_dict={"rows": frame}))
    results = validator.graph_validate(
        configurations=expectations(job, dates=True),
        runtime_configuration={
            "catch_exceptions": False,
            "result_format": {"result_format": job.settings["result_format"]},
        },
    )
    return failing(results)


run(judge, ("great-expectations", "pandas"))
