"""Lays out the demo: what five departments hand in, where their consumers receive, and how to reach each of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from crossdock.demo import real
from crossdock.demo.addresses import CONSUMER_FOLDERS, connect, demo_connections
from crossdock.demo.identities import Settings
from crossdock.demo.registers import write_enterprises, write_population
from crossdock.identity import now

LAYOUT = 1  # raise it when the demo's data changes, so that what is there is made anew
FRESH = timedelta(days=14)  # the population contract promises rows not older than 30 days

_PARTS = ("departments", "faults")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Province:
    """What was laid out, and where."""

    folder: Path  # var/demo
    connections: Path  # var/connections.json
    as_of: date  # nothing generated is newer
    rows: Mapping[str, int]  # dataset id -> rows its source holds
    faults: Mapping[str, Path]  # dataset id -> parquet of `arrival`, `rules`; generated datasets only
    weather: Path  # JSON lines that the meteorological department's service hands out


@contextmanager
def alone(home: Path, progress: Progress) -> Iterator[None]:
    """Lets one process at a time lay the demo out and make Airflow's database; whoever comes second waits."""
    with (home / "var" / "demo.lock").open("a") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            progress("Waiting for another demo in this folder to end.")
            flock(lock, LOCK_EX)
        yield


def provision(  # noqa: PLR0913 - all but the first are settings with a default
    home: Path,
    *,
    people: int = 200_000,
    enterprises: int = 50_000,
    seed: int = 52,
    as_of: date | None = None,
    progress: Progress | None = None,
) -> Province:
    """Lays out everything under `home`/var/demo and adds its connections to `home`/var/connections.json.

    Repeating it changes nothing: what was made from the same settings stays. It is made whole or not at all.

    Args:
        home: the exchange's folder.
        people: rows of the population register (tested up to 10 million).
        enterprises: rows of the enterprise register.
        seed: another seed makes other people with other faults.
        as_of: the day the data is from; by default that of the last time if it is not two weeks old, else today.
        progress: is told each step, in one sentence.
    """
    folder = home / "var" / "demo"
    told = progress or (lambda _: None)
    made = _made(folder)
    day = as_of or _day(made)
    settings = {
        "layout": LAYOUT,
        "people": people,
        "enterprises": enterprises,
        "seed": seed,
        "as_of": day.isoformat(),
    }
    if made is None or {key: made.get(key) for key in settings} != settings:
        rows = _make(folder, settings, told)
    else:
        rows = made["rows"]
        told("The demo's data is there already.")
    for consumer in CONSUMER_FOLDERS:
        (folder / "consumers" / consumer).mkdir(mode=0o700, parents=True, exist_ok=True)
    connections = home / "var" / "connections.json"
    connect(connections, demo_connections(folder, connections))
    return Province(
        folder=folder,
        connections=connections,
        as_of=day,
        rows=rows,
        faults={
            "public_security/population": folder / "faults" / "population.parquet",
            "market_regulation/enterprises": folder / "faults" / "enterprises.parquet",
        },
        weather=folder / "departments" / "meteorology" / "weather.jsonl",
    )


def _made(folder: Path) -> dict[str, Any] | None:
    """Returns what the demo there was made from; None when it was not made to the end, or has lost a part since."""
    stamp = folder / "made.json"
    made: dict[str, Any] = json.loads(stamp.read_text("utf-8")) if stamp.exists() else {}
    return made if made and made["files"] == _sizes(folder) else None


def _sizes(folder: Path) -> dict[str, int]:
    files = (file for part in _PARTS for file in (folder / part).rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.stat().st_size for file in sorted(files)}


def _day(made: Mapping[str, Any] | None) -> date:
    today = now().date()
    before = date.fromisoformat(str(made["as_of"])) if made else None
    return before if before and timedelta(0) <= today - before < FRESH else today


def _make(folder: Path, settings: Mapping[str, object], told: Progress) -> dict[str, int]:
    """Makes the departments' data beside where it belongs, and moves it there when it is complete."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    departments = fresh / "departments"
    for part in ("civil_affairs", "public_security", "market_regulation", "transport", "meteorology"):
        (departments / part).mkdir(mode=0o700, parents=True)
    (fresh / "faults").mkdir()
    rows = _real_data(departments, told) | _registers(fresh, settings, told)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "made.json").unlink(missing_ok=True)
    for part in _PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
        (fresh / part).rename(folder / part)
    fresh.rmdir()
    stamp = folder / ".made.json"
    stamp.write_text(json.dumps({**settings, "rows": rows, "files": _sizes(folder)}, indent=2), "utf-8")
    stamp.replace(folder / "made.json")
    return rows


def _real_data(departments: Path, told: Progress) -> dict[str, int]:
    told("Copying 336,776 real flights, with airlines, airports and aircraft, for the transport department.")
    transport = departments / "transport"
    flights = real.copy_table("flights", transport / "flights.csv.zip")
    airlines = real.copy_table("airlines", transport / "airlines.csv")
    airports = real.write_json_lines("airports", transport / "airports.jsonl")
    planes = real.write_sheet("planes", transport / "planes.xlsx")
    told("Writing real hourly weather for the meteorological department's web service.")
    weather = real.write_json_lines("weather", departments / "meteorology" / "weather.jsonl")
    told("Writing China's administrative divisions, in GB18030, for the civil-affairs department.")
    divisions = real.write_divisions(departments / "civil_affairs" / "divisions.csv")
    return {
        "transport/flights": flights,
        "transport/airlines": airlines,
        "transport/airports": airports,
        "transport/planes": planes,
        "meteorology/weather": weather,
        "civil_affairs/divisions": divisions,
    }


def _registers(fresh: Path, settings: Mapping[str, object], told: Progress) -> dict[str, int]:
    people, enterprises, seed = (int(str(settings[name])) for name in ("people", "enterprises", "seed"))
    counties = real.counties()
    day = date.fromisoformat(str(settings["as_of"]))
    told(f"Making up {people:,} people for the public-security department's database.")
    register = Settings(rows=people, seed=seed, as_of=day, counties=list(counties), employers=enterprises)
    write_population(
        fresh / "departments" / "public_security" / "registers.db",
        fresh / "faults" / "population.parquet",
        register,
    )
    told(f"Making up {enterprises:,} enterprises for the market regulator's parquet file.")
    write_enterprises(
        fresh / "departments" / "market_regulation" / "enterprises.parquet",
        fresh / "faults" / "enterprises.parquet",
        Settings(rows=enterprises, seed=seed, as_of=day, counties=list(counties)),
        counties,
    )
    return {"public_security/population": people, "market_regulation/enterprises": enterprises}
