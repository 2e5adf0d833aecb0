"""The form of an agreement file, as pydantic reads it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import pydantic

from crossdock.contracts.agreement import ON_CHANGE, Mode


class Strict(pydantic.BaseModel):
    """A part of the file in which no unknown key may stand."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Party(Strict):
    """Provider or consumer."""

    department: str


class Description(Strict):
    """What the agreement is for."""

    purpose: str
    usage: str | None = None
    limitations: str | None = None


class Mask(Strict):
    """How many characters a mask leaves."""

    first: Annotated[int, pydantic.Field(ge=0, alias="keepFirst")] = 0
    last: Annotated[int, pydantic.Field(ge=0, alias="keepLast")] = 0


class Protect(Strict):
    """A protection that has something to say beside its name."""

    mask: Mask | None = None
    generalise: str | int | float | None = None

    @pydantic.model_validator(mode="after")
    def _one(self) -> Protect:
        if (self.mask is None) == (self.generalise is None):
            raise ValueError("name exactly one of mask and generalise")  # pydantic's own protocol
        return self


Whole = Literal["pseudonymise", "dummy", "drop"]  # protections with nothing to say beside their name


class Delivery(pydantic.BaseModel):
    """How what leaves travels; each channel checks its own options."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    channel: str
    connection: str = ""
    mode: Mode = "full"


class Withheld(Strict):
    """On what basis the people concerned are not told of what is delivered, and until when."""

    legal_basis: Annotated[str, pydantic.Field(alias="legalBasis", min_length=1)]
    until: date


class Terms(Strict):
    """How crossdock enforces the agreement."""

    legal_basis: Annotated[str, pydantic.Field(alias="legalBasis", min_length=1)]
    columns: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    rows: str = ""
    protect: dict[str, Whole | Protect] = pydantic.Field(default_factory=dict)
    unprotected: dict[str, Annotated[str, pydantic.Field(min_length=1)]] = pydantic.Field(default_factory=dict)
    delivery: Delivery | None = None
    requested_on: Annotated[date | None, pydantic.Field(alias="requestedOn")] = None
    frequency: str = ON_CHANGE
    data_life: Annotated[str, pydantic.Field(alias="dataLife")] = ""
    licence: str = ""
    withheld: Withheld | None = None


class Property(Strict):
    """A custom property."""

    property: str
    value: Any
    description: str | None = None


class AccessAgreement(Strict):
    """The header of an agreement file, as OAAS v0.9 has it."""

    api_version: Annotated[str, pydantic.Field(alias="apiVersion")]
    kind: Literal["AccessAgreement"]
    id: str
    version: str
    status: str
    name: str | None = None
    description: Description
    start: Annotated[datetime, pydantic.Field(alias="startTimestamp")]
    end: Annotated[datetime, pydantic.Field(alias="endTimestamp")]
    provider: Party
    consumer: Party
    tags: tuple[str, ...] = ()
    custom: Annotated[tuple[Property, ...], pydantic.Field(alias="customProperties")] = ()
