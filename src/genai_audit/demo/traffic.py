"""One day of audit records: who, when, what, filled into ready-made templates.

Random numbers are drawn for a whole day at once with numpy; the loop over records only joins bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from genai_audit.demo.campus import (
    UNITS,
    People,
    make_guids,
)
from genai_audit.demo.documents import PER_UNIT, RENDERINGS, Library
from genai_audit.demo.mixture import (
    IPS,
    MESSAGE_KINDS,
    MESSAGES,
    RESPONSE_AFTER_MS,
    make_copilot_templates,
    make_rare_kinds,
)

Slots = dict[bytes, bytes]
Event = tuple[int, bytes]  # seconds since the day's start, record

# Share of a day's activity by local hour, 0 to 23.
WEEKDAY_HOURS = (3, 2, 1, 1, 1, 2, 6, 18, 48, 88, 104, 98, 72, 86, 98, 92, 78, 56, 36, 30, 28, 24, 16, 8)
WEEKEND_HOURS = (6, 4, 2, 1, 1, 2, 4, 9, 20, 40, 56, 62, 58, 62, 70, 72, 66, 58, 52, 56, 54, 44, 28, 14)
RESOURCE_CHANCES = (0.34, 0.36, 0.2, 0.1)  # none, one, two, three
BENCHMARK_CHANCES = (0.0, 0.55, 0.45, 0.0)
INTERACTIONS = 4_500  # on a teaching weekday of a university of 3,000
OUTSIDERS = 8  # accounts that no register knows: three services, five people who left
OUTSIDER_CHANCE = 0.003


@dataclass(frozen=True)
class Actors:
    """Every account as ready bytes. Three spellings of the user: object id, UPN, UPN in lower case."""

    users: tuple[list[bytes], list[bytes], list[bytes]]
    slots: list[Slots]  # upn, upper_upn, key, user_type, user_type_number
    chances: npt.NDArray[np.float64]
    units: npt.NDArray[np.int64]

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        people = np.searchsorted(self.chances, rng.random(count)).clip(max=len(self.chances) - 1)
        outsiders = len(self.chances) + rng.integers(OUTSIDERS, size=count)
        return np.where(rng.random(count) < OUTSIDER_CHANCE, outsiders, people)


def make_actors(people: People, seed: int) -> Actors:
    outside = [guid.decode() for guid in make_guids(np.random.default_rng([seed, 3]), OUTSIDERS)]
    ids = people.object_ids + outside
    upns = people.upns + outside[:3] + [f"leaver{n}@westbridge.example" for n in range(5)]
    kinds = {"guest": ("guest", 10), "service": ("servicePrincipal", 6)}
    slots = []
    for object_id, upn, role in zip(ids, upns, people.roles + ["service"] * 3 + ["leaver"] * 5, strict=True):
        kind, number = kinds.get(role, ("regular", 0))
        key = object_id.replace("-", "")[:16].upper()  # a directory number, not the object id
        slots.append({b"upn": upn.encode(), b"upper_upn": upn.upper().encode(), b"key": key.encode(),
                      b"user_type": kind.encode(), b"user_type_number": b"%d" % number})  # fmt: skip
    spellings = (
        [one.encode() for one in ids],
        [one.encode() for one in upns],
        [one.lower().encode() for one in upns],
    )
    units = np.concatenate([people.unit_numbers, np.zeros(OUTSIDERS, dtype=np.int64)])
    return Actors(spellings, slots, people.chances, units)


class Traffic:
    """Makes the ordinary records of a day. `scale` is 1 for a university of 3,000."""

    def __init__(self, actors: Actors, library: Library, seed: int, scale: float) -> None:
        self.actors, self.library, self.scale = actors, library, scale
        self._plain, self._drifted = (make_copilot_templates(seed, drifted) for drifted in (False, True))
        self._rare = make_rare_kinds(scale)

    def make_interactions(
        self, rng: np.random.Generator, start: datetime, seconds: npt.NDArray[np.int64],
        *, drifted: bool = False, resources: tuple[float, ...] = RESOURCE_CHANCES,
    ) -> list[Event]:  # fmt: skip
        """CopilotInteraction records at the given seconds after `start`."""
        count = len(seconds)
        templates = self._drifted if drifted else self._plain
        persons = self.actors.draw(rng, count)
        shapes = rng.integers(len(templates), size=count).tolist()
        spellings = rng.choice(3, size=count, p=[0.3, 0.5, 0.2]).tolist()
        messages = self._make_messages(rng, start, seconds)
        read = self._make_resources(rng, persons, rng.choice(len(resources), size=count, p=resources))
        ids, threads = make_guids(rng, count), make_guids(rng, count)
        ips = rng.integers(len(IPS), size=count).tolist()
        events = []
        for n, (person, second, time) in enumerate(
            zip(persons.tolist(), seconds.tolist(), write_times(start, seconds), strict=True)
        ):
            slots = {**self.actors.slots[person], b"user": self.actors.users[spellings[n]][person],
                     b"id": ids[n], b"time": time, b"ip": IPS[ips[n]], b"thread": threads[n],
                     b"messages": messages[n], b"resources": read[n]}  # fmt: skip
            events.append((second, templates[shapes[n]] % slots))
        return events

    def _make_messages(
        self, rng: np.random.Generator, start: datetime, seconds: npt.NDArray[np.int64]
    ) -> list[bytes]:
        kinds = rng.choice(
            len(MESSAGES), size=len(seconds), p=[chance for *_, chance in MESSAGE_KINDS]
        ).tolist()
        first = (int(start.timestamp()) + seconds) * 1000 - rng.integers(900, size=len(seconds))
        return [
            MESSAGES[kind]
            % tuple([moment + later for later in RESPONSE_AFTER_MS[: len(MESSAGE_KINDS[kind][0])]])
            for kind, moment in zip(kinds, first.tolist(), strict=True)
        ]

    def _make_resources(
        self, rng: np.random.Generator, persons: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
    ) -> list[bytes]:
        """Resources of the person's own unit as a rule, popular ones more often."""
        total = int(counts.sum())
        units = np.where(rng.random(total) < 0.9, np.repeat(self.actors.units[persons], counts),
                         rng.integers(len(UNITS), size=total))  # fmt: skip
        documents = units * PER_UNIT + (PER_UNIT * rng.random(total) ** 2).astype(np.int64)
        chosen = (documents * RENDERINGS + rng.integers(RENDERINGS, size=total)).tolist()
        rendered = self.library.rendered
        ends = np.cumsum(counts).tolist()
        return [
            b"[%b]" % b",".join([rendered[k] for k in chosen[end - count : end]])
            for count, end in zip(counts.tolist(), ends, strict=True)
        ]

    def make_others(
        self, rng: np.random.Generator, start: datetime, hours: tuple[int, ...], factor: float
    ) -> list[Event]:
        """Everything that isn't an ordinary interaction: twins, external tools, DLP, labels, settings."""
        events: list[Event] = []
        for rate, gap, shapes in self._rare:
            seconds = draw_seconds(rng, int(rng.poisson(rate * factor)), hours)
            events += self.fill(rng, start, seconds, shapes, gap=gap)
        return events

    def fill(
        self, rng: np.random.Generator, start: datetime, seconds: npt.NDArray[np.int64],
        shapes: tuple[bytes, ...], *, gap: int = 0, persons: npt.NDArray[np.int64] | None = None,
    ) -> list[Event]:  # fmt: skip
        """One event for each second: every template of `shapes`, `gap` seconds apart, about one thing."""
        persons = self.actors.draw(rng, len(seconds)) if persons is None else persons
        messages = self._make_messages(rng, start, seconds)
        named = (b"thread", b"other_thread", b"conversation", b"incident", b"resource")
        width = len(named) + len(shapes)
        guids = make_guids(rng, len(seconds) * width)
        moments = (seconds[:, None] + gap * np.arange(len(shapes))).ravel()
        times = write_times(start, moments)
        events = []
        for n, (person, second) in enumerate(zip(persons.tolist(), seconds.tolist(), strict=True)):
            own = guids[n * width : (n + 1) * width]
            slots = {**self.actors.slots[person], b"user": self.actors.users[n % 3][person],
                     b"messages": messages[n], b"ip": IPS[(person + n) % len(IPS)],
                     b"serial": b"%d" % (person % 900), b"resources": b"[]",
                     **dict(zip(named, own, strict=False))}  # fmt: skip
            for step, template in enumerate(shapes):
                slots[b"id"], slots[b"time"] = own[len(named) + step], times[n * len(shapes) + step]
                events.append((second + gap * step, template % slots))
        return events


def draw_seconds(rng: np.random.Generator, count: int, hours: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Ordered seconds of a day, by the share of each hour; the last minute stays free for second records."""
    shares = np.cumsum(hours) / sum(hours)
    hour = np.searchsorted(shares, rng.random(count), side="right").clip(max=23)
    drawn = np.minimum(hour * 3600 + rng.integers(3600, size=count), 86_339)
    drawn.sort()
    return drawn


def write_times(start: datetime, seconds: npt.NDArray[np.int64]) -> list[bytes]:
    """`2026-11-02T09:13:22`, the way `CreationTime` is written: UTC without a zone."""
    base = np.datetime64(start.astimezone(UTC).replace(tzinfo=None), "s")
    texts: list[bytes] = np.datetime_as_string(base + seconds.astype("timedelta64[s]")).astype("S19").tolist()
    return texts
