"""The events that the pretend university plants, so that a reader can see what is found and what is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from genai_audit.calendars import LONDON, start_of_uk_day
from genai_audit.demo import records
from genai_audit.demo.campus import TOOLS, People, day_type, is_bank_holiday
from genai_audit.demo.documents import Library, make_file
from genai_audit.demo.mixture import NEW_EVENT_KEY, NEW_TOP_KEY
from genai_audit.demo.traffic import Event, Traffic

CANARY_PROMPT = "CANARY-PROMPT-9d41b7e2 please summarise the attached marks"
CAPPED_MINUTE_RECORDS = 400
RECENT_DAYS = 20
SPIKE_TOOL = "deepseek"
SPIKE_RATIO = 8
INJECTED_ID = "d7b0f4c2-3e85-4a19-9c6d-81f2a5e07b43"


@dataclass(frozen=True)
class Planted:
    """`detection` is the detection that should find it, or the published table that shows it.

    `subject` is what the record says (tool id, object id, resource id, source, key): for tests and joins,
    never for a screen, because it can be a person's object id. `what` names nobody.
    """

    name: str
    day: date
    what: str
    detection: str
    subject: str


# Which of the recent teaching weekdays an event gets, counted back from the last one.
PLACES = {"external_tool_spike": 2, "injection": 3, "jailbreak": 4, "mass_access": 5, "silent_day": 6,
          "capped_minute": 7, "unknown_field": 8, "prompt_text": 9}  # fmt: skip


class Planting:
    """Decides the days once; makes the records of a day on demand."""

    def __init__(self, people: People, library: Library, days: list[date], seed: int) -> None:
        self._people, self._library = people, library
        last_day = days[-1]
        recent = [day for day in reversed(days[-RECENT_DAYS:]) if day_type(day, last_day) == "teaching"
                  and day.weekday() < 5 and not is_bank_holiday(day)] or days[::-1]  # fmt: skip
        self.days = {name: recent[place % len(recent)] for name, place in PLACES.items()}
        if len(recent) < len(PLACES):  # too short a span to give one day away
            del self.days["silent_day"]
        staff = people.numbers("staff")
        chosen = np.random.default_rng([seed, 5]).integers(len(staff), size=4).tolist()
        named = ("injection", "jailbreak", "mass_access", "prompt_text")
        self._actors = {name: staff[k] for name, k in zip(named, chosen, strict=True)}
        tool = next(one for one in TOOLS if one[0] == SPIKE_TOOL)
        self._spike_identity = tool[6][0][1]
        self.spike_count = max(SPIKE_RATIO * tool[5], 40)

    def is_silent(self, day: date) -> bool:
        return self.days.get("silent_day") == day

    def is_drifted(self, day: date) -> bool:
        return day >= self.days["unknown_field"]

    @property
    def capped_minute(self) -> datetime:
        day = self.days["capped_minute"]
        return datetime(day.year, day.month, day.day, 11, 7, tzinfo=LONDON).astimezone(
            start_of_uk_day(day).tzinfo
        )

    def make_events(self, day: date, traffic: Traffic, rng: np.random.Generator) -> list[Event]:
        makers = {"external_tool_spike": self._make_spike, "injection": self._make_injection,
                  "jailbreak": self._make_jailbreak, "mass_access": self._make_mass_access,
                  "capped_minute": self._make_crowd, "prompt_text": self._make_prompt_text}  # fmt: skip
        start = start_of_uk_day(day)
        return [
            event
            for name, make in makers.items()
            if self.days[name] == day
            for event in make(traffic, rng, start)
        ]

    def _make_spike(self, traffic: Traffic, rng: np.random.Generator, start: datetime) -> list[Event]:
        template = records.make_template(records.make_external_use(284, self._spike_identity))
        seconds = _at(10) + np.sort(rng.integers(2 * 3600, size=self.spike_count))
        students = self._people.numbers("student")
        few = len(students) < self.spike_count
        persons = rng.choice(np.array(students), size=self.spike_count, replace=few)
        return traffic.fill(rng, start, seconds, (template,), persons=persons)

    def _make_injection(self, traffic: Traffic, rng: np.random.Generator, start: datetime) -> list[Event]:
        clean = make_file("Reading list", "docx", "hum-team", "1f6a0d93-8c27-4b5e-b4d8-05e3c9f7a261", None)
        found = make_file("Guest lecture", "pdf", "hum-team", INJECTED_ID, None)
        read = [
            clean | {"Status": "success", "XPIADetected": False},
            found | {"Status": "success", "XPIADetected": True},
        ]
        return self._make_one(traffic, rng, start, "injection", _at(14, 12), {"AccessedResources": read})

    def _make_jailbreak(self, traffic: Traffic, rng: np.random.Generator, start: datetime) -> list[Event]:
        first = int((start + timedelta(seconds=_at(15, 40))).timestamp()) * 1000
        messages = [
            {"Id": str(first + 4000 * n), "JailbreakDetected": n == 2, "isPrompt": n % 2 == 0}
            for n in range(4)
        ]
        event = {"AccessedResources": [], "Messages": messages}
        return self._make_one(traffic, rng, start, "jailbreak", _at(15, 40), event)

    def _make_prompt_text(self, traffic: Traffic, rng: np.random.Generator, start: datetime) -> list[Event]:
        event = {"AccessedResources": [], "PromptText": CANARY_PROMPT}
        return self._make_one(traffic, rng, start, "prompt_text", _at(9, 31), event)

    def _make_mass_access(self, traffic: Traffic, rng: np.random.Generator, start: datetime) -> list[Event]:
        """25 restricted files in 13 records, two files each, one record every three minutes."""
        files = [one | {"Status": "success"} for one in self._library.restricted]
        pairs = [files[k : k + 2] for k in range(0, len(files), 2)]
        return [
            event
            for step, pair in enumerate(pairs)
            for event in self._make_one(traffic, rng, start, "mass_access", _at(16, 5) + 180 * step,
                                        {"AccessedResources": pair})
        ]  # fmt: skip

    def _make_crowd(self, traffic: Traffic, rng: np.random.Generator, start: datetime) -> list[Event]:
        """A lecture hall that asks at the same moment."""
        within = np.sort(rng.integers(60, size=CAPPED_MINUTE_RECORDS))
        seconds = int((self.capped_minute - start).total_seconds()) + within
        return traffic.make_interactions(
            rng, start, seconds, drifted=self.is_drifted(self.days["capped_minute"])
        )

    def _make_one(
        self,
        traffic: Traffic,
        rng: np.random.Generator,
        start: datetime,
        name: str,
        second: int,
        event: dict[str, Any],
    ) -> list[Event]:
        body = records.make_interaction("BizChat", "Copilot.MicrosoftCopilot.BizChat", event=event)
        template = records.make_template(records.wrap_record(261, "CopilotInteraction", body))
        return traffic.fill(
            rng, start, np.array([second]), (template,), persons=np.array([self._actors[name]])
        )

    def list_planted(self) -> list[Planted]:
        """In order of day. Everything that `days` was long enough for."""
        ids = {name: self._people.object_ids[number] for name, number in self._actors.items()}
        spike = f"{self.spike_count} uses of DeepSeek in two hours, {SPIKE_RATIO} times the usual of a day"
        mass = f"one person reads {len(self._library.restricted)} Restricted files in 40 minutes"
        crowd = f"at least {CAPPED_MINUTE_RECORDS} records in one minute"
        facts = (
            ("external_tool_spike", spike, "external_tool_spike", SPIKE_TOOL),
            ("injection", "hidden instructions flagged in the second file that Copilot read",
             "prompt_attack_flag", INJECTED_ID),
            ("jailbreak", "a jailbreak flag on the third message only", "prompt_attack_flag",
             ids["jailbreak"]),
            ("mass_access", mass, "sensitive_label_access", ids["mass_access"]),
            ("silent_day", "no record at all on an ordinary weekday", "source_silence", "m365_audit"),
            ("capped_minute", crowd, "coverage", "m365_audit"),
            ("unknown_field", "two keys that no documentation names appear and stay", "field_drift",
             f"{NEW_TOP_KEY},{NEW_EVENT_KEY}"),
            ("prompt_text", "prompt text inside a record, to be cut before landing", "package",
             ids["prompt_text"]),
        )  # fmt: skip
        found = [Planted(name, self.days[name], *rest) for name, *rest in facts if name in self.days]
        return sorted(found, key=lambda one: one.day)


def _at(hour: int, minute: int = 0) -> int:
    """Seconds since midnight; planted days have no clock change, because they are weekdays."""
    return hour * 3600 + minute * 60
