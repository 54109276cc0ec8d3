"""The pretend university's standing facts: units, people, labels, tools and the year.

Everything is invented: the university is called Westbridge and its domain can't exist. Nothing here
depends on the clock; the year is laid out backwards from the last day, so that a demo run in July still
ends in teaching weeks and has comparable weeks behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

DOMAIN = "westbridge.example"
SHAREPOINT = "https://westbridge-example.sharepoint.com"
TENANT_ID = "0b7f3a52-6c1d-4e0a-9d35-2f6c8e41a7d9"

# unit_id, name, parent, share of students, share of staff
UNITS: tuple[tuple[str, str, str, float, float], ...] = (
    ("art", "School of Art and Design", "College of Arts", 0.10, 0.07),
    ("mus", "School of Music and Sound", "College of Arts", 0.05, 0.04),
    ("hum", "School of Humanities", "College of Arts", 0.08, 0.08),
    ("law", "School of Law", "College of Society", 0.11, 0.07),
    ("soc", "School of Social Sciences", "College of Society", 0.10, 0.08),
    ("bus", "School of Management", "College of Society", 0.18, 0.10),
    ("cmp", "School of Computing", "College of Science", 0.14, 0.09),
    ("eng", "School of Engineering", "College of Science", 0.10, 0.08),
    ("lif", "School of Life Sciences", "College of Science", 0.09, 0.09),
    ("psy", "School of Psychology", "College of Science", 0.05, 0.05),
    ("lib", "Library and Learning Services", "Professional Services", 0.0, 0.06),
    ("reg", "Registry", "Professional Services", 0.0, 0.07),
    ("fin", "Finance", "Professional Services", 0.0, 0.04),
    ("per", "People and Culture", "Professional Services", 0.0, 0.03),
    ("its", "Information Systems", "Professional Services", 0.0, 0.05),
)

PUBLIC, GENERAL, CONFIDENTIAL, HIGHLY, RESTRICTED = (
    f"4c0e7a1{n}-52d3-4b8f-a6e1-93b7d5f0c2a8" for n in range(5)
)
LABELS: tuple[tuple[str, str, int], ...] = (
    (PUBLIC, "Public", 0),
    (GENERAL, "General", 10),
    (CONFIDENTIAL, "Confidential", 20),
    (HIGHLY, "Highly Confidential", 30),
    (RESTRICTED, "Restricted", 40),
)

CONNECTED_APP_ID = "7d1c0a4e-93f2-4b57-8e06-5ab2c9d3f184"
AGENT_ID = "a3f5d2c8-1e47-4c69-b0a2-6d8e9f714b35"
# tool_id, name, vendor, status, hosting, daily uses on a teaching weekday, aliases (kind, value)
TOOLS: tuple[tuple[str, str, str, str, str, int, tuple[tuple[str, str], ...]], ...] = (
    ("microsoft-copilot", "Microsoft Copilot", "Microsoft", "approved", "EU Data Boundary", 0,
     (("domain", "copilot.microsoft.com"), ("domain", "copilot.cloud.microsoft"))),
    ("study-helpdesk", "Westbridge study helpdesk agent", "Westbridge", "pilot", "EU Data Boundary", 0,
     (("app_identity", "Copilot.Studio"),)),
    ("research-assistant", "Westbridge research assistant", "Westbridge", "approved", "UK", 24,
     (("app_identity", "ConnectedAIApp.AzureAI.westbridge-research"),)),
    ("chatgpt", "ChatGPT", "OpenAI", "restricted", "United States", 52,
     (("app_identity", "AIApp.SaaS.ChatGPT"), ("domain", "chatgpt.com"), ("domain", "chat.openai.com"))),
    ("chatgpt-edu", "ChatGPT Edu pilot", "OpenAI", "pilot", "EU", 18,
     (("app_identity", f"ConnectedAIApp.Entra.{CONNECTED_APP_ID}"),)),
    ("gemini", "Gemini", "Google", "restricted", "unknown", 26,
     (("app_identity", "AIApp.SaaS.Gemini"), ("domain", "gemini.google.com"))),
    ("claude", "Claude", "Anthropic", "restricted", "United States", 20,
     (("app_identity", "AIApp.SaaS.Claude"), ("domain", "claude.ai"))),
    ("synthesia", "Synthesia", "Synthesia", "pilot", "UK", 12,
     (("app_identity", "AIApp.SaaS.Synthesia"), ("domain", "synthesia.io"))),
    ("perplexity", "Perplexity", "Perplexity AI", "unknown", "unknown", 15,
     (("app_identity", "AIApp.SaaS.Perplexity"), ("domain", "perplexity.ai"))),
    ("deepseek", "DeepSeek", "DeepSeek", "prohibited", "China", 8,
     (("app_identity", "AIApp.SaaS.DeepSeek"), ("domain", "chat.deepseek.com"), ("domain", "deepseek.com"))),
    ("notebooklm", "NotebookLM", "Google", "unknown", "unknown", 9,
     (("app_identity", "AIApp.SaaS.NotebookLM"), ("domain", "notebooklm.google.com"))),
    ("midjourney", "Midjourney", "Midjourney", "unknown", "unknown", 6,
     (("app_identity", "AIApp.SaaS.Midjourney"), ("domain", "midjourney.com"))),
)  # fmt: skip

FIRST_NAMES = (
    "Adaeze", "Alun", "Bela", "Bryn", "Carys", "Cosmo", "Dilys", "Edda", "Farid", "Greta", "Hana", "Idris",
    "Ines", "Jarek", "Kofi", "Leila", "Mabel", "Nadia", "Oisin", "Petra", "Quentin", "Rhona", "Sefa",
    "Tamsin", "Ulla", "Vikram", "Wren", "Xanthe", "Yusuf", "Zofia",
)  # fmt: skip
LAST_NAMES = (
    "Ashgrove", "Brindlewick", "Calloway-Fen", "Dunmarsh", "Elderbrook", "Fallowmere", "Gorsefield",
    "Hartswell", "Inglebeck", "Jessamoor", "Kestrelby", "Larkhollow", "Merrowdale", "Nettlecombe",
    "Oakhampstead", "Pellworth",
    "Quillgarth", "Rushmeadow", "Silverlea", "Thornmere", "Underholt", "Vintnersea", "Wychwater", "Yarrowby",
)  # fmt: skip
STAFF_TITLES = (
    "Lecturer",
    "Senior Lecturer",
    "Professor",
    "Technician",
    "Administrator",
    "Adviser",
    "Manager",
)

# Kind of day by weeks before the week of the last day; repeats after 22 weeks.
YEAR_OF_WEEKS = (
    ("teaching",) * 6
    + ("vacation", "assessment")
    + ("teaching",) * 9
    + ("vacation",) * 3
    + ("assessment",) * 2
)
USE_BY_DAY_TYPE = {"teaching": 1.0, "assessment": 0.9, "vacation": 0.4, "closure": 0.12}
WEEKEND_USE = 0.24


@dataclass(frozen=True)
class People:
    """Everybody, as parallel lists: position in the list is the person's number."""

    object_ids: list[str]
    upns: list[str]
    names: list[str]
    roles: list[str]
    unit_numbers: npt.NDArray[np.int64]
    titles: list[str]
    chances: npt.NDArray[np.float64]  # cumulative chance of being the actor of an event

    def numbers(self, role: str) -> list[int]:
        """People of a role; everybody if a tiny university has none."""
        found = [number for number, one in enumerate(self.roles) if one == role]
        return found or list(range(len(self.roles)))


def make_people(count: int, seed: int) -> People:
    """Three quarters students, a few guests; a third hardly ever use an AI tool, a few use it all day."""
    rng = np.random.default_rng([seed, 1, count])
    roles = rng.choice(["student", "staff", "guest"], size=count, p=[0.765, 0.215, 0.02]).tolist()
    roles[: min(3, count)] = ["staff", "student", "guest"][:count]  # a tiny university has them all
    student, staff = (np.array([unit[place] for unit in UNITS]) for place in (3, 4))
    of_student = rng.choice(len(UNITS), size=count, p=student / student.sum())
    of_staff = rng.choice(len(UNITS), size=count, p=staff / staff.sum())
    units = np.where(np.array(roles) == "student", of_student, of_staff)
    first, last = rng.integers(len(FIRST_NAMES), size=count), rng.integers(len(LAST_NAMES), size=count)
    names = [f"{FIRST_NAMES[a]} {LAST_NAMES[b]}" for a, b in zip(first, last, strict=True)]
    weight = rng.lognormal(0.0, 1.1, size=count) * np.where(rng.random(count) < 0.35, 0.05, 1.0)
    return People(
        object_ids=[guid.decode() for guid in make_guids(rng, count)],
        upns=[_upn(number, name, role) for number, (name, role) in enumerate(zip(names, roles, strict=True))],
        names=names,
        roles=roles,
        unit_numbers=units,
        titles=[STAFF_TITLES[k % len(STAFF_TITLES)] if role == "staff" else role.title()
                for k, role in enumerate(roles)],
        chances=np.cumsum(weight) / weight.sum(),
    )  # fmt: skip


def _upn(number: int, name: str, role: str) -> str:
    dotted = name.replace(" ", ".")
    if role == "student":
        return f"w{1_700_000 + number}@{DOMAIN}"
    if role == "guest":
        return f"{dotted.lower()}{number}_partner.example#EXT#@{DOMAIN}"
    return f"{dotted}{number}@{DOMAIN}"


def make_guids(rng: np.random.Generator, count: int) -> list[bytes]:
    """Version-4 GUIDs as 36 lower-case bytes, made together because one at a time is slow."""
    nibbles = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)[
        rng.integers(16, size=(count, 36), dtype=np.uint8)
    ]
    nibbles[:, [8, 13, 18, 23]] = ord("-")
    nibbles[:, 14], nibbles[:, 19] = ord("4"), ord("a")
    guids: list[bytes] = np.ascontiguousarray(nibbles).view("S36").ravel().tolist()
    return guids


@cache
def bank_holidays(year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays("GB", subdiv="ENG", years=year))


def is_bank_holiday(day: date) -> bool:
    return day in bank_holidays(day.year)


def day_type(day: date, last_day: date) -> str:
    monday, last_monday = (one - timedelta(days=one.weekday()) for one in (day, last_day))
    weeks_back = (last_monday - monday).days // 7
    if weeks_back == 6 and day.weekday() == 4:
        return "closure"  # one closed Friday in the vacation week
    return YEAR_OF_WEEKS[weeks_back % len(YEAR_OF_WEEKS)]


def use_factor(day: date, last_day: date) -> float:
    """How much of a teaching weekday's activity this day has."""
    quiet = is_bank_holiday(day) or day_type(day, last_day) == "closure"
    factor = USE_BY_DAY_TYPE["closure" if quiet else day_type(day, last_day)]
    return factor * (WEEKEND_USE if day.weekday() >= 5 else 1.0)


def calendar_rows(first_day: date, last_day: date) -> Iterator[dict[str, Any]]:
    """Spans of equal day type, from a year before the first day to four weeks after the last."""
    names = {"teaching": "Teaching block", "assessment": "Assessment period", "vacation": "Vacation",
             "closure": "University closed"}  # fmt: skip
    day = start = first_day - timedelta(days=365)
    end = last_day + timedelta(days=28 - last_day.weekday())
    while day <= end:
        kind, following = day_type(day, last_day), day + timedelta(days=1)
        if following > end or day_type(following, last_day) != kind:
            yield {
                "start_day": start.isoformat(),
                "end_day": day.isoformat(),
                "day_type": kind,
                "name": names[kind],
            }
            start = following
        day = following
