"""crossdock: judged only, as its peers do; or also with accepted.parquet and quarantine.parquet written."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.dataset as pads
from engine import run

sys.path[:0] = [str(Path(__file__).parents[3] / "plugins"), str(Path(__file__).parents[1])]

from register import CONTRACT, DIVISIONS

from crossdock.contracts.odcs import read_contract
from crossdock.validation.judge import Context, judge, weigh


def judgement(job, path):
    contract = read_contract(CONTRACT)
    scratch = job.scratch / "judge"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    context = Context(
        scratch=scratch,
        references={DIVISIONS: pads.dataset(job.divisions, format="parquet")},
        now=datetime(2026, 11, 23, tzinfo=UTC),
    )
    extract = pads.dataset(path, format="parquet")
    if job.settings.get("files"):
        judged = judge(contract, extract, context=context)
        assert judged.accepted_file
        assert judged.accepted_file.exists()
    else:
        judged = weigh(contract, extract, context=context)
        rows = [judged.failing.rows(batch) for batch in range(judged.failing.marks.batches)]
        assert sum(int(each.sum()) for each in rows) == judged.quarantined
    found = {finding.rule: finding.rows for finding in judged.findings}
    return {rule.id: found.get(rule.id, 0) for rule in job.rules}


run(judgement, ("pyarrow", "great-expectations"))
