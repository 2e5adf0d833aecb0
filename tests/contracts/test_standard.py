"""The Open Data Contract Standard from 3.0 to 3.2, feature by feature: what it can say is read, or refused by name."""

import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.odcs import read_contract
from crossdock.errors import ContractInvalid
from drafts import write

HEAD = """\
kind: DataContract
id: 0b1f2c
version: 1.0.0
status: active
name: bus_stops
"""
TYPES = """\
apiVersion: v3.0.2
schema:
  - name: stops
    physicalType: table
    logicalType: object
    properties:
      - {name: code, logicalType: string, physicalType: string, logicalTypeOptions: {minLength: 4, maxLength: 4, pattern: 'S[0-9]{3}'}}
      - {name: built, logicalType: date, logicalTypeOptions: {exclusiveMinimum: "1990-01-01", maximum: "2030-01-01", format: yyyy-MM-dd}}
      - {name: seen, logicalType: date, physicalType: timestamp, logicalTypeOptions: {minimum: "2020-01-01 00:00:00", format: "yyyy-MM-dd HH:mm:ss"}}
      - {name: height, logicalType: number, physicalType: double, logicalTypeOptions: {minimum: 0, format: f32}}
      - {name: benches, logicalType: integer, logicalTypeOptions: {minimum: 0, exclusiveMaximum: 20, format: i64}}
      - {name: roofed, logicalType: boolean, physicalType: bool}
      - {name: lines, logicalType: array, physicalType: list, logicalTypeOptions: {minItems: 0, maxItems: 9, uniqueItems: true}}
      - {name: owner, logicalType: object, physicalType: json, logicalTypeOptions: {required: [name, since], maxProperties: 5}}
"""
NESTED = """\
apiVersion: v3.1.0
schema:
  - name: stops
    properties:
      - name: platforms
        logicalType: array
        physicalType: array
        items:
          logicalType: object
          properties:
            - {name: id, logicalType: string, physicalType: VARCHAR(40)}
            - {name: metres, logicalType: integer, deprecated: true}
"""
MAPS = """\
apiVersion: v3.2.0
schema:
  - name: stops
    deprecated: false
    properties:
      - {name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1, required: true}
      - name: names
        logicalType: map
        physicalType: "MAP<STRING, STRING>"
        map: {key: {logicalType: string, description: Language.}, value: {logicalType: string}}
      - name: times
        logicalType: map
        map:
          key: {logicalType: string}
          value: {logicalType: object, properties: [{name: at, logicalType: time, required: true}, {name: days, logicalType: array, items: {logicalType: integer}}]}
      - {name: state, logicalType: string, enum: [{value: open, label: Open}, {value: shut, tags: [end]}]}
      - {name: zone, semanticType: dimension, logicalType: string, transformLogic: "substr(id, 1, 1)"}
      - {name: likeness, logicalType: vector, logicalTypeOptions: {dimensions: 3, distanceMetric: cosine}}
"""
QUALITY = """\
apiVersion: v3.2.0
schema:
  - name: stops
    physicalName: town.bus_stops
    properties:
      - name: code
        logicalType: string
        quality:
          - {metric: nullValues, mustBe: 0, unit: rows, dimension: completeness, businessImpact: operational}
          - {metric: missingValues, arguments: {missingValues: [null, '', N/A]}, mustBeLessThan: 1, unit: percent}
          - {metric: invalidValues, arguments: {validValues: [A, B]}, mustNotBeBetween: [5, 9]}
          - {type: sql, query: 'SELECT COUNT(*) FROM {object} WHERE {property} IS NULL', mustBeLessThan: 3600, scheduler: cron, schedule: 0 20 * * *}
          - {type: text, description: Codes are painted on the shelter.}
    quality:
      - {metric: duplicateValues, arguments: {properties: [code]}, mustBeLessOrEqualTo: 5, unit: percent}
      - {type: library, metric: rowCount, mustBeBetween: [100, 120], method: reconciliation}
      - {type: custom, engine: greatExpectations, implementation: "type: expect_table_row_count_to_be_between\\nkwargs:\\n  minValue: 1\\n  maxValue: 5\\n"}
"""
LEVELS = """\
apiVersion: v3.0.0
schema:
  - name: stops
    properties: [{name: seen, logicalType: timestamp, physicalName: seen_at}]
slaDefaultElement: stops.seen
slaProperties:
  - {property: latency, value: 4, unit: d}
  - {property: generalAvailability, value: "2022-05-12T09:30:10-08:00"}
  - {property: endOfLife, value: "2042-05-12T09:30:10-08:00"}
  - {property: retention, value: 3, unit: y, element: stops.seen_at}
  - {property: frequency, value: 1, valueExt: 1, unit: d}
  - {property: timeOfAvailability, value: "09:00-08:00", driver: regulatory}
servers:
  - {server: stream, type: kafka, format: avro, host: "${BROKER}:9092"}
"""
READ = {"types": TYPES, "nested": NESTED, "maps": MAPS, "quality": QUALITY, "levels": LEVELS}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_what_the_standard_can_say_is_read_and_means_the_same_after_a_round_trip(tmp_path, text):
    found = read_contract(write(tmp_path / "one.yaml", HEAD + text))
    written = OpenDataContractStandard.model_validate(yaml.safe_load(HEAD + text)).to_yaml()
    again = read_contract(write(tmp_path / "two.yaml", written))
    assert (again.columns, again.rules, again.retention) == (found.columns, found.rules, found.retention)
    assert arrow_schema(again) == arrow_schema(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (QUALITY.replace("{type: text, description: Codes are painted on the shelter.}", "{type: custom, engine: soda, implementation: x}"), "crossdock has no engine 'soda'"),
        (QUALITY.replace("{object}", "${TARGET_TABLE}"), "The query says ${TARGET_TABLE}, which stands for nothing."),
        (QUALITY.replace("SELECT COUNT(*) FROM {object}", "DELETE FROM {object}"), "A query is one SELECT and nothing else."),
        (LEVELS.replace("generalAvailability", "errorRate"), "can't judge the service level 'errorRate'"),
        (LEVELS.replace("slaDefaultElement: stops.seen\n", ""), "The latency names no column."),
        ("apiVersion: v3.0.0\nschema:\n  - {name: stops, physicalType: topic, logicalType: object}\n", "The table has no properties."),
        (TYPES.replace("properties:", "relationships: [{type: foreignKey, from: stops.code, to: towns.id}]\n    properties:"), "There is no table 'towns'"),
        (MAPS.replace("distanceMetric: cosine", "normalized: true"), "can't check that a vector is normalized"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_by_its_name(tmp_path, text, said):
    with pytest.raises(ContractInvalid) as error:
        read_contract(write(tmp_path / "one.yaml", HEAD + text))
    assert len(error.value.problems) == 1
    assert said in str(error.value)
