"""One day of audit records: who, when, what, filled into ready-made templates.

Random numbers are drawn for a whole day at once with numpy; the loop over records only joins bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from genai_audit.demo import records
from genai_audit.demo.campus import AGENT_ID, CONFIDENTIAL, GENERAL, LABELS, PUBLIC, TOOLS, UNITS, People, make_guids
from genai_audit.demo.documents import PER_UNIT, RENDERINGS, Library
from genai_audit.demo.records import make_template, wrap_record

Slots = dict[bytes, bytes]
Event = tuple[int, bytes]  # seconds since the day's start, record

TEMPLATES = 400
# AppHost, how many of 1,000 interactions, AppIdentity (facts/m365.md §3.2)
HOSTS: tuple[tuple[str, int, str], ...] = (
    ("BizChat", 250, "Copilot.MicrosoftCopilot.BizChat"), ("bizchat", 10, "Copilot.M365Copilot.Bizchat"),
    ("Teams", 165, "Copilot.M365Copilot.Apps"), ("Word", 120, ""), ("Outlook", 115, ""), ("Excel", 60, ""),
    ("PowerPoint", 55, ""), ("Office", 55, "Copilot.MicrosoftCopilot.Microsoft365Copilot"), ("Bing", 50, ""),
    ("Edge", 20, ""), ("SharePoint", 20, ""), ("OneNote", 14, ""), ("Loop", 10, ""), ("M365App", 10, ""),
    ("Designer", 10, ""), ("Whiteboard", 5, ""), ("Copilot Studio", 12, f"Copilot.Studio.{AGENT_ID}"),
    ("pva-maker-evaluation", 6, f"Copilot.Studio.{AGENT_ID}"), ("agentic-builder", 4, ""), ("autonomous", 5, ""),
    ("Microsoft Teams", 4, f"Copilot.Studio.{AGENT_ID}"),
)  # fmt: skip
# Share of a day's activity by local hour, 0 to 23.
WEEKDAY_HOURS = (3, 2, 1, 1, 1, 2, 6, 18, 48, 88, 104, 98, 72, 86, 98, 92, 78, 56, 36, 30, 28, 24, 16, 8)
WEEKEND_HOURS = (6, 4, 2, 1, 1, 2, 4, 9, 20, 40, 56, 62, 58, 62, 70, 72, 66, 58, 52, 56, 54, 44, 28, 14)
MESSAGES = (
    b'[{"Id":"%d","isPrompt":true},{"Id":"%d","isPrompt":false}]',
    b'[{"Id":"%d","JailbreakDetected":false,"isPrompt":true},{"Id":"%d","JailbreakDetected":false,"isPrompt":false}]',
    b'[{"Id":"%d","isPrompt":true},{"Id":"%d","isPrompt":false},{"Id":"%d","isPrompt":false}]',
    b'[{"Id":"%d","JailbreakDetected":false,"isPrompt":true},{"Id":"%d","JailbreakDetected":false,"isPrompt":false},'
    b'{"Id":"%d","JailbreakDetected":false,"isPrompt":false}]',
    b'[{"Id":"%d","isPrompt":true},{"Id":"%d","isPrompt":false},{"Id":"%d","isPrompt":true},{"Id":"%d","isPrompt":false}]',
)  # fmt: skip
RESPONSE_AFTER_MS = (0, 1240, 2210, 9480)  # of the second, third and fourth message
MESSAGE_CHANCES = (0.42, 0.22, 0.2, 0.1, 0.06)
RESOURCE_CHANCES = (0.34, 0.36, 0.2, 0.1)  # none, one, two, three
BENCHMARK_CHANCES = (0.0, 0.55, 0.45, 0.0)
INTERACTIONS = 5_900  # on a teaching weekday of a university of 3,000
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
        slots.append({b"upn": upn.encode(), b"upper_upn": upn.upper().encode(), b"key": object_id[:18].encode(),
                      b"user_type": kind.encode(), b"user_type_number": b"%d" % number})  # fmt: skip
    spellings = ([one.encode() for one in ids], [one.encode() for one in upns], [one.lower().encode() for one in upns])
    units = np.concatenate([people.unit_numbers, np.zeros(OUTSIDERS, dtype=np.int64)])
    return Actors(spellings, slots, people.chances, units)


def make_copilot_templates(seed: int, drifted: bool) -> list[bytes]:
    """Equally likely templates with the mix of `HOSTS`. `drifted` adds keys that no documentation names."""
    rng = np.random.default_rng([seed, 4])
    counts = [max(1, round(weight * TEMPLATES / 1000)) for _, weight, _ in HOSTS]
    return [
        make_template(_vary_interaction(host, identity, rng, drifted))
        for (host, _, identity), count in zip(HOSTS, counts, strict=True)
        for _ in range(count)
    ]


def _vary_interaction(host: str, identity: str, rng: np.random.Generator, drifted: bool) -> records.Record:
    chance = rng.random(8)
    top: records.Record = {"AppIdentity": identity} if identity else {}
    event: records.Record = {}
    if chance[0] < 0.22:
        event["AISystemPlugin"] = [{"Id": "BingWebSearch", "Name": "BuiltIn"}]
    if chance[1] < 0.3:
        event["ModelTransparencyDetails"] = [{"ModelProviderName": "OpenAI", "ModelName": "gpt-5"}]
    if chance[2] < 0.12 and host in ("BizChat", "Teams"):
        top |= {"AgentId": "CopilotStudio.Declarative.c2f8e4a6-57b1-4d03-8e92-0a6c4f1b7d35",
                "AgentName": "Reading list helper"}  # fmt: skip
    if chance[3] < 0.15:
        event |= {"DLPEvaluationDeferred": 5 if chance[3] < 0.01 else 0}
        event |= {"DLPEvaluationDeferredReason": "Timeout"} if chance[3] < 0.01 else {}
    if host == "Teams" and chance[4] < 0.5:
        event["Contexts"] = [{"Id": "19:meeting_westbridge@thread.v2", "Type": "TeamsMeeting"}]
    if drifted:
        top["InteractionSurface"] = "pane"
        event["GroundingMode"] = "work"
    region = "GB" if chance[5] < 0.95 else "IE"
    body = records.make_interaction(host, "", top=top, event=event, region=region)
    if host == "Microsoft Teams":  # a Copilot Studio runtime outside Copilot: no messages, and no twin
        del body["CopilotEventData"]["Messages"]
        body |= {"AgentId": AGENT_ID, "AgentPlatform": "CopilotStudio"}
    fraction = ".0000000" if chance[6] < 0.05 else ""
    return wrap_record(261, "CopilotInteraction", body, wrapped=bool(chance[7] < 0.08), fraction=fraction,
                       text_numbers=bool(chance[7] > 0.99))  # fmt: skip


class Traffic:
    """Makes the ordinary records of a day. `scale` is 1 for a university of 3,000."""

    def __init__(self, actors: Actors, library: Library, seed: int, scale: float) -> None:
        self.actors, self.library, self.scale = actors, library, scale
        self._plain, self._drifted = (make_copilot_templates(seed, drifted) for drifted in (False, True))
        self._rare = _make_rare_kinds(scale)

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
            slots = {**self.actors.slots[person], b"user": self.actors.users[spellings[n]][person], b"id": ids[n],
                     b"time": time, b"ip": IPS[ips[n]], b"thread": threads[n], b"messages": messages[n],
                     b"resources": read[n]}  # fmt: skip
            events.append((second, templates[shapes[n]] % slots))
        return events

    def _make_messages(
        self, rng: np.random.Generator, start: datetime, seconds: npt.NDArray[np.int64]
    ) -> list[bytes]:
        kinds = rng.choice(len(MESSAGES), size=len(seconds), p=MESSAGE_CHANCES).tolist()
        first = (int(start.timestamp()) + seconds) * 1000 - rng.integers(900, size=len(seconds))
        texts = []
        for kind, moment in zip(kinds, first.tolist(), strict=True):
            template = MESSAGES[kind]
            texts.append(template % tuple(moment + RESPONSE_AFTER_MS[k] for k in range(template.count(b"%d"))))
        return texts

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

    def make_others(self, rng: np.random.Generator, start: datetime, hours: tuple[int, ...], factor: float) -> list[Event]:
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
        guids = make_guids(rng, len(seconds) * (len(named) + len(shapes)))
        events = []
        for n, (person, second) in enumerate(zip(persons.tolist(), seconds.tolist(), strict=True)):
            own = iter(guids[n * (len(named) + len(shapes)) :])
            slots = {**self.actors.slots[person], b"user": self.actors.users[n % 3][person], b"messages": messages[n],
                     b"ip": IPS[(person + n) % len(IPS)], b"serial": b"%d" % (person % 900), b"resources": b"[]",
                     **dict(zip(named, own, strict=False))}  # fmt: skip
            for step, template in enumerate(shapes):
                moment = np.array([second + gap * step])
                slots |= {b"id": next(own), b"time": write_times(start, moment)[0]}
                events.append((second + gap * step, template % slots))
        return events


def _make_rare_kinds(scale: float) -> list[tuple[float, int, tuple[bytes, ...]]]:
    """Daily rate on a teaching weekday, seconds between the records of one event, templates."""
    upgrades = [records.make_file_label(kind, "SensitivityLabelUpdated", CONFIDENTIAL, GENERAL, 1) for kind in (83, 94)]
    downgrade = records.make_file_label(83, "SensitivityLabelUpdated", PUBLIC, GENERAL, 2)
    kinds: list[tuple[float, int, tuple[Any, ...]]] = [
        (55, 5, records.make_studio_twins()),
        (14, 1, (records.make_service_dlp(11, "Many records", "High"), records.make_service_dlp(11, "Any", "Low"))),
        (6, 1, (records.make_service_dlp(13, "Many records", "High"), records.make_service_dlp(13, "Any", "Low"))),
        (30, 0, (records.make_file_label(83, "SensitivityLabelApplied", GENERAL, None, 4),)),
        (16, 0, (records.make_file_label(94, "SensitivityLabelApplied", GENERAL, None, 4),)),
        (7, 0, (upgrades[0],)), (4, 0, (upgrades[1],)), (3, 0, (downgrade,)),
        (2, 0, (records.make_file_label(83, "SensitivityLabelRemoved", GENERAL, GENERAL, 3),)),
        (9, 0, (records.make_file_label(82, "SensitivityLabelPolicyMatched", CONFIDENTIAL, None, 4),)),
        (20, 0, (records.make_file_label(84, "SensitivityLabeledFileOpened", CONFIDENTIAL, None, 4),)),
        (50, 0, (records.make_web_label("FileSensitivityLabelApplied", GENERAL, None),)),
        (8, 0, (records.make_web_label("FileSensitivityLabelChanged", CONFIDENTIAL, GENERAL),)),
        (3, 0, (records.make_web_label("FileSensitivityLabelRemoved", None, GENERAL),)),
        (0.4, 0, (records.make_admin_change("CopilotWebSearch", "Enabled", "Disabled"),)),
    ]  # fmt: skip
    kinds += [(20, 1, records.make_mail_label(label, name)) for label, name, rank in LABELS if 0 < rank <= 20]
    of_tenant = [(rate * scale, gap, shapes) for rate, gap, shapes in kinds]
    # A small university still uses enough external tools for a baseline.
    of_tools = [(rate * max(scale, 0.3), gap, shapes) for tool in TOOLS for rate, gap, shapes in _tool_kinds(tool)]
    return [(rate, gap, tuple(map(make_template, shapes))) for rate, gap, shapes in of_tenant + of_tools]


def _tool_kinds(tool: Any) -> list[tuple[float, int, tuple[records.Record, ...]]]:
    """Seven tenths of a tool's use are seen by Purview, the rest by endpoint DLP in the browser."""
    *_, daily, aliases = tool
    values: dict[str, list[str]] = {}
    for kind, value in aliases:
        values.setdefault(kind, []).append(value)
    if not daily:
        return []
    identity = values["app_identity"][0]
    if identity.startswith("ConnectedAIApp"):
        return [(daily, 0, (records.make_external_use(328, identity),))]
    pasted = records.make_browser_upload("PastedToBrowser", values["domain"][0], 1)
    uploaded = records.make_browser_upload("FileUploadedToCloud", values["domain"][-1], 2)
    return [(daily * 0.7, 0, (records.make_external_use(284, identity),)), (daily * 0.2, 0, (pasted,)),
            (daily * 0.1, 0, (uploaded,))]  # fmt: skip


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


# Addresses as they occur: IPv4, IPv6, mapped, Microsoft's odd `ffff:`, with a port, and none (documentation ranges).
IPS: tuple[bytes, ...] = (
    *(b'"192.0.2.%d"' % n for n in range(1, 120)),
    *(b'"2001:db8:17::%x"' % n for n in range(1, 60)),
    *(b'"::ffff:198.51.100.%d"' % n for n in range(1, 20)),
    *(b'"ffff:203.0.113.%d"' % n for n in range(1, 5)),
    b'"203.0.113.9:53100"',
    *(b"null",) * 60,
)
