"""The `crossdock` custom property of a contract: what ODCS has no place for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from crossdock.contracts.drifting import GivenDrift
from crossdock.contracts.model import Sharing, Tolerance

PROPERTY = "crossdock"


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class GivenLabel(_Strict):
    """A name in both languages of the house."""

    zh: str
    en: str


class GivenSharing(_Strict):
    """Who may have the dataset, and by which article of law."""

    kind: Annotated[Sharing, pydantic.Field(alias="class")]
    basis: str = ""


class GivenSubject(_Strict):
    """Whom a record is about."""

    kind: Literal["person", "enterprise"]
    column: str


class GivenTolerance(_Strict):
    """How many rows may fail."""

    rows: Annotated[int, pydantic.Field(ge=0)] | None = None
    percent: Annotated[float, pydantic.Field(ge=0, le=100)] | None = None

    def value(self) -> Tolerance:
        """Returns it as the house's value."""
        return Tolerance(rows=self.rows, percent=self.percent)


class GivenTransform(_Strict):
    """One standardising step."""

    use: str
    columns: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    reference: str | None = None
    options: dict[str, Any] = pydantic.Field(default_factory=dict)


class GivenSource(pydantic.BaseModel):
    """Where the dataset is pulled from; what a kind of source takes beside, it checks itself."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    kind: str
    connection: str = ""
    watermark: str = ""


class ColumnExtension(_Strict):
    """The property of one column."""

    confirm: str = ""  # what a person must answer before the contract may be used; drafts ask


class Extension(_Strict):
    """The whole property of a contract."""

    confirm: tuple[str, ...] = ()
    title: GivenLabel | None = None
    sharing: GivenSharing = GivenSharing.model_validate({"class": "none"})
    subject: GivenSubject | None = None
    source: GivenSource | None = None
    transforms: tuple[GivenTransform, ...] = ()
    tolerance: GivenTolerance = GivenTolerance()
    tolerances: dict[str, GivenTolerance] = pydantic.Field(default_factory=dict)
    drift: GivenDrift = GivenDrift()
    null_tokens: Annotated[tuple[str, ...], pydantic.Field(alias="nullTokens")] = ()
