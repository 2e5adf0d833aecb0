"""The rules as Great Expectations says them, for both of its engines."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from engine import Failing, Job
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.validator.validator import Validator


class _Quiet(Validator):
    def _determine_progress_bars(self) -> bool:
        return False


def quiet_validator(engine) -> Validator:
    return _Quiet(execution_engine=engine)


def expectations(job: Job, *, dates: bool) -> list[ExpectationConfiguration]:
    """Returns all rules that GX has an expectation for; a reference is a set of all the values it may have."""
    found = []
    for rule in job.rules:
        said = rule.expectation
        if rule.kind == "reference":
            codes = Path(job.settings["codes"]).read_text("utf-8").split()
            said = ("expect_column_values_to_be_in_set", {"column": rule.columns[0], "value_set": codes})
        if said is None:
            continue
        name, keywords = said
        if dates and rule.kind == "between" and job.types[rule.columns[0]] == "date":
            keywords = {key: _date(value) if key.endswith("_value") else value for key, value in keywords.items()}
        found.append(ExpectationConfiguration(type=name, kwargs=keywords, meta={"rule": rule.id}))
    return found


def failing(results) -> Failing:
    return {result.expectation_config.meta["rule"]: int(result.result["unexpected_count"]) for result in results}


def _date(text):
    return None if text is None else date.fromisoformat(text)
