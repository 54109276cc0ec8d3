"""Caliper events: which of them are use of a GenAI tool, and the little of them that is kept (facts/vle.md
§2.4).

Blackboard writes its own event types as addresses, and a whole LTI launch into each: names, e-mail
addresses, signatures and client addresses (facts/vle.md §1.6). Nothing is copied here but what `describe`
picks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from genai_audit.sources._vle_features import Feature, Features, looks_like_ai, name_unlisted
from genai_audit.sources._vle_records import list_of, make_record, name_role, object_of, text_of

USES = ("ToolUseEvent", "ToolLaunchEvent", "LTIEvent")
PLACES = ("object", "target", "edApp", "referrer")  # where an event names a tool
LONGEST_TEXT = 2_000
KNOWN_VALUES = 10_000  # remembered look-ups

Entities = dict[str, dict[str, Any]]


class EventSorter:
    """Takes what stands in envelopes, and counts every one of them.

    `counts`: events = genai + unclassified + not_genai; entities aside. `unlisted_launches`: those among the
    not_genai that opened a tool which the register doesn't name.
    """

    def __init__(self, features: Features) -> None:
        self._find = lru_cache(KNOWN_VALUES)(features.find)  # the same few tools come again and again
        self.counts: Counter[str] = Counter()

    def take(self, document: dict[str, Any]) -> Iterator[bytes]:
        """Records of one envelope, or of one event or entity without an envelope."""
        is_envelope = isinstance(document.get("data"), list) and "action" not in document
        members = [one for one in document["data"] if isinstance(one, dict)] if is_envelope else [document]
        entities = {text_of(one.get("id")): one for one in members if not is_event(one)}
        for member in members:
            if not is_event(member):
                self.counts["entities"] += 1
            elif record := self._take_event(member, entities):
                yield record

    def _take_event(self, event: dict[str, Any], entities: Entities) -> bytes | None:
        self.counts["events"] += 1
        places = [_open(event.get(place), entities) for place in PLACES]
        is_use = name_type(event) in USES
        listed = self._find_listed(places, is_use)
        target = text_of(places[0].get("id"))
        if listed is None and not looks_like_ai(target):
            self.counts["not_genai"] += 1
            self.counts["unlisted_launches"] += is_use
            return None
        self.counts["genai" if listed else "unclassified"] += 1
        feature, tool = (listed.feature, listed.tool) if listed else (name_unlisted(target), "")
        return describe(event, entities, feature, tool)

    def _find_listed(self, places: list[dict[str, Any]], is_use: bool) -> Feature | None:
        """By object id in any event; by name and host only where a tool was used or opened."""
        for place in places:
            if hit := self._find("object_id", text_of(place.get("id"))):
                return hit
        if not is_use:
            return None
        for place in places:
            for key in ("launchUrl", "id"):
                if hit := self._find("domain", text_of(place.get(key))):
                    return hit
            if hit := self._find("name", text_of(place.get("name"))):
                return hit
        return None

    def conclude(self) -> dict[str, Any]:
        """Facts of the manifest, without outcome."""
        names = ("events", "entities", "genai", "unclassified", "not_genai", "unlisted_launches")
        return {name: self.counts[name] for name in names}


def is_event(value: dict[str, Any]) -> bool:
    return "action" in value and ("eventTime" in value or name_type(value).endswith("Event"))


def is_caliper(value: dict[str, Any]) -> bool:
    """An envelope, an event, or an entity that says it is Caliper's."""
    is_envelope = "sensor" in value and isinstance(value.get("data"), list)
    context = " ".join(one for one in list_of(value.get("@context")) if isinstance(one, str))
    return is_envelope or ("caliper" in context and "type" in value)


def name_type(value: dict[str, Any]) -> str:
    """The last part of a type that may be an address."""
    return text_of(value.get("type")).rsplit("/", 1)[-1]


def describe(event: dict[str, Any], entities: Entities, feature: str, tool: str) -> bytes:
    """The canonical record of one event."""
    group = _open(event.get("group"), entities)
    membership = _open(event.get("membership"), entities)
    organisation = _open(membership.get("organization"), entities)
    launch = object_of(object_of(event.get("object")).get("launchParameters"))
    own = object_of(membership.get("extensions"))
    courses = (
        group.get("courseNumber"), organisation.get("courseNumber"), own.get("bb:course.externalId"),
        launch.get("context_id"), group.get("id"), organisation.get("id"),
    )  # fmt: skip
    roles = list_of(membership.get("roles")) or list_of(launch.get("roles"))
    return make_record(
        event,
        text_of(event.get("id")).removeprefix("urn:uuid:"),
        event.get("eventTime"),
        actor=_name_actor(_open(event.get("actor"), entities)),
        actor_role=name_role(roles),
        course=next((text for course in courses if (text := text_of(course))), ""),
        term=text_of(group.get("academicSession")),
        feature=feature,
        tool=tool,
        map="caliper",
    )


def _name_actor(actor: dict[str, Any]) -> str:
    """The VLE's own user name or id, else the id that the event gives; software is nobody."""
    if name_type(actor) not in ("", "Person", "Agent"):
        return ""
    own = object_of(actor.get("extensions"))
    names = (own.get("bb:user.externalId"), own.get("bb:user.id"), actor.get("id"))
    return next((text for name in names if (text := text_of(name))), "")


def _open(value: Any, entities: Entities) -> dict[str, Any]:
    """An entity, whether it stands here, is named by its id alone, or is described beside the event."""
    if isinstance(value, str):
        return entities.get(value, {"id": value[:LONGEST_TEXT]})
    return object_of(value)
