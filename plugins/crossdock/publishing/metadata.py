"""How an open version describes itself to people and machines: Data Package, DCAT-AP, README.

Every path in these documents is relative to the version's folder, so a copy of the folder stays whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.model import Contract, Department
from crossdock.publishing.dictionary import Meaning, dictionary_csv
from crossdock.publishing.licences import licence

MEDIA_TYPE = "application/vnd.apache.parquet"
_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """All that the descriptions of one version are made from; nothing in it changes when a release is repeated."""

    publication: Agreement
    contract: Contract
    publisher: Department
    meanings: tuple[Meaning, ...]
    rows: int
    bytes: int
    sha256: str


def documents(edition: Edition) -> Mapping[str, bytes]:
    """Returns the files that lie beside data.parquet, by name."""
    return {
        "LICENCE.txt": licence(edition.publication.licence).text().encode(),
        "README.md": _readme(edition).encode(),
        "datapackage.json": _json(data_package(edition)),
        "dcat.jsonld": _json(dcat(edition)),
        "dictionary.csv": dictionary_csv(edition.meanings),
    }


def _json(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def data_package(edition: Edition) -> dict[str, object]:
    """Returns the version as a Data Package (datapackage.org, version 2) with a table schema."""
    contract, terms = edition.contract, licence(edition.publication.licence)
    resource = {
        "name": contract.dataset,
        "path": "data.parquet",
        "format": "parquet",
        "mediatype": MEDIA_TYPE,
        "bytes": edition.bytes,
        "hash": f"sha256:{edition.sha256}",
        "rows": edition.rows,
        "schema": _table_schema(edition.meanings),
    }
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": f"{contract.department}-{contract.dataset}".replace("_", "-"),
        "id": contract.id,
        "title": f"{contract.title.zh} {contract.title.en}".strip(),
        "description": contract.description,
        "version": contract.version,
        "keywords": [contract.theme] if contract.theme else [],
        "licenses": [{"name": terms.id, "title": terms.title, "path": terms.url}],
        "contributors": [{"title": f"{edition.publisher.name.zh} {edition.publisher.name.en}", "roles": ["publisher"]}],
        "resources": [resource],
    }


def _table_schema(meant: tuple[Meaning, ...]) -> dict[str, object]:
    schema: dict[str, object] = {"fields": [_field(m) for m in meant]}
    key = [m.column for m in meant if m.key]
    return schema | ({"primaryKey": key} if key else {})


def _field(meaning: Meaning) -> dict[str, object]:
    constraints: dict[str, object] = {"required": meaning.required}
    if meaning.values:
        constraints["enum"] = list(meaning.values)
    field: dict[str, object] = {"name": meaning.column, "type": meaning.type, "constraints": constraints}
    if meaning.label:
        field["title"] = meaning.label
    if meaning.description:
        field["description"] = meaning.description
    return field


def dcat(edition: Edition) -> dict[str, object]:
    """Returns the version as a DCAT-AP dataset with one distribution, in JSON-LD."""
    contract, terms = edition.contract, licence(edition.publication.licence)
    distribution = {
        "@type": "dcat:Distribution",
        "dcat:accessURL": {"@id": "data.parquet"},
        "dcat:downloadURL": {"@id": "data.parquet"},
        "dcat:mediaType": {"@id": f"https://www.iana.org/assignments/media-types/{MEDIA_TYPE}"},
        "dcat:byteSize": {"@type": "xsd:nonNegativeInteger", "@value": str(edition.bytes)},
        "dct:license": {"@id": terms.url},
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": {"@type": "xsd:hexBinary", "@value": edition.sha256},
        },
    }
    return {
        "@context": _CONTEXT,
        "@type": "dcat:Dataset",
        "@id": f"urn:crossdock:dataset:{contract.department}:{contract.dataset}",
        "dct:identifier": contract.id,
        "dct:title": _both(contract.title.zh, contract.title.en),
        "dct:description": contract.description,
        "dct:publisher": {
            "@type": "foaf:Agent",
            "@id": f"urn:crossdock:department:{edition.publisher.id}",
            "foaf:name": _both(edition.publisher.name.zh, edition.publisher.name.en),
        },
        "dcat:keyword": [contract.theme] if contract.theme else [],
        "dcat:version": contract.version,
        "dcat:distribution": [distribution],
    }


def _both(zh: str, en: str) -> list[dict[str, str]]:
    return [{"@language": "zh", "@value": zh}, {"@language": "en", "@value": en}]


def _readme(edition: Edition) -> str:
    contract, terms = edition.contract, licence(edition.publication.licence)
    columns = "\n".join(
        f"| `{m.column}` | {_cell(m.label)} | {m.type} | {_cell(m.description)} |" for m in edition.meanings
    )
    return f"""# {contract.title.zh} {contract.title.en}

{contract.description}

{edition.publisher.name.zh} {edition.publisher.name.en} · {edition.rows:,} rows · [{terms.title}]({terms.url})

```python
import pandas as pd
rows = pd.read_parquet("data.parquet")
```

```python
import duckdb
duckdb.sql("FROM 'data.parquet' LIMIT 10").show()
```

| column | label | type | description |
|---|---|---|---|
{columns}

`dictionary.csv` says more about each column; `manifest.json` is signed and lists the SHA-256 of every file here.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
