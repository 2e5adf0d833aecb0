from __future__ import annotations

import csv
import json
from dataclasses import replace

import pyarrow as pa
import pytest

from crossdock.contracts.model import Column
from crossdock.publishing.dictionary import dictionary_csv, meanings
from crossdock.publishing.licences import licence


def read(press, version, name):
    return press.store.read(f"{version.folder}/{name}").decode("utf-8-sig")


def test_the_dictionary_explains_every_published_column_and_no_other(press):
    version = press.release()
    rows = list(csv.DictReader(read(press, version, "dictionary.csv").splitlines()))
    assert [r["column"] for r in rows] == ["carrier", "distance", "day"]
    carrier, distance, day = rows
    assert carrier["label"] == "承运人"
    assert carrier["values"] == "UA | AA"
    assert (carrier["key"], distance["key"]) == ("yes", "no")
    assert (distance["type"], distance["required"], distance["description"]) == ("integer", "yes", "Miles")
    assert day["protection"] == "generalise (to 10)"
    assert press.store.read(f"{version.folder}/dictionary.csv").startswith(b"\xef\xbb\xbf")


def test_types_are_those_of_the_published_values(press):
    released = press.prepare()
    types = {
        "carrier": pa.date32(), "tail": pa.timestamp("us", tz="UTC"), "distance": pa.decimal128(12, 2), "day": pa.bool_(),
    }  # fmt: skip
    schema = pa.schema(list(types.items()))
    meant = meanings(released.publication, released.contract, schema)
    assert [m.type for m in meant] == ["date", "datetime", "number", "boolean"]
    assert dictionary_csv(meant)


def test_what_is_inside_of_an_object_stands_in_the_dictionary_by_its_path(press):
    city = Column(name="home.city", source_name="city", field="city", type="string", label="城市")
    home = Column(name="home", source_name="home", type="object", children=(city,))
    tags = Column(name="tags", source_name="tags", type="array")
    released = press.prepare()
    contract = replace(released.contract, columns=(home, tags))
    schema = pa.schema([("home", pa.struct([("city", pa.string())])), ("tags", pa.string())])
    meant = meanings(released.publication, contract, schema)
    assert [(m.column, m.type) for m in meant] == [("home", "object"), ("tags", "array")]
    rows = list(csv.DictReader(dictionary_csv(meant).decode("utf-8-sig").splitlines()))
    assert [(r["column"], r["type"], r["label"]) for r in rows] == [
        ("home", "object", ""),
        ("home.city", "string", "城市"),
        ("tags", "array", ""),
    ]


def test_the_data_package_describes_the_file_it_lies_beside(press):
    version = press.release()
    package = json.loads(read(press, version, "datapackage.json"))
    (resource,) = package["resources"]
    data = press.store.read(f"{version.folder}/{resource['path']}")
    assert resource["bytes"] == len(data)
    assert resource["hash"] == f"sha256:{version.data.sha256}"
    fields = resource["schema"]["fields"]
    assert [f["name"] for f in fields] == ["carrier", "distance", "day"]
    assert fields[0]["constraints"] == {"required": False, "enum": ["UA", "AA"]}
    assert resource["schema"]["primaryKey"] == ["carrier"]
    assert package["licenses"][0]["path"] == "https://creativecommons.org/licenses/by/4.0/"


def test_dcat_names_the_dataset_in_both_languages(press):
    version = press.release()
    dataset = json.loads(read(press, version, "dcat.jsonld"))
    assert {t["@language"]: t["@value"] for t in dataset["dct:title"]} == {"zh": "航班", "en": "Flights"}
    (distribution,) = dataset["dcat:distribution"]
    assert distribution["spdx:checksum"]["spdx:checksumValue"]["@value"] == version.data.sha256
    prefixes = {key.split(":")[0] for key in [*dataset, *distribution] if ":" in key}
    assert prefixes <= set(dataset["@context"])


def test_the_readme_has_snippets_that_work_in_the_folder(press, monkeypatch):
    version = press.release()
    readme = read(press, version, "README.md")
    monkeypatch.chdir(press.store.url(version.folder))
    snippets = readme.split("```python\n")[1:]
    assert len(snippets) == 2
    for snippet in snippets:
        exec(snippet.split("```")[0], {})
    assert "3 rows" in readme
    assert '| `carrier` | 承运人 | string | The "carrier", by two letters \\| IATA |' in readme


@pytest.mark.parametrize(
    ("identifier", "url"),
    [
        ("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("MIT", "https://spdx.org/licenses/MIT.html"),
    ],
)
def test_a_licence_leads_to_its_text(identifier, url):
    found = licence(identifier)
    assert found.url == url
    assert f"SPDX-License-Identifier: {identifier}" in found.text()
