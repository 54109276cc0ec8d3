"""xAPI statements: which of them are GenAI use, by rules that people configure (facts/vle.md §2.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from genai_audit.settings import Section, SourceOptions
from genai_audit.sources._vle_features import looks_like_ai, name_unlisted
from genai_audit.sources._vle_records import list_of, make_record, object_of, text_of

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
NO_RULE = "no rule under [[vle_xapi.rules]] says which statements are GenAI, so nothing can be decided"


class XapiRule(Section):
    """A statement must match every part that is given; the first rule that fits counts."""

    feature: str = Field(min_length=1)
    tool: str = ""
    verb: str = ""  # id of the verb
    activity_type: str = ""  # of the object
    object_id_prefix: str = ""
    extension: str = ""  # id of an extension of the context, the result or the object
    category: str = ""  # id of an activity of the context's category

    @model_validator(mode="after")
    def check_sense(self) -> XapiRule:
        parts = (self.verb, self.activity_type, self.object_id_prefix, self.extension, self.category)
        if not any(parts):
            raise ValueError(
                "a rule needs one of verb, activity_type, object_id_prefix, extension or category"
            )
        return self

    def fits(self, statement: dict[str, Any], object_id: str) -> bool:
        wanted, target = self, object_of(statement.get("object"))
        definition = object_of(target.get("definition"))
        return (
            (not wanted.verb or text_of(object_of(statement.get("verb")).get("id")) == wanted.verb)
            and (not wanted.activity_type or text_of(definition.get("type")) == wanted.activity_type)
            and object_id.startswith(wanted.object_id_prefix)
            and (not wanted.extension or wanted.extension in _extensions(statement, definition))
            and (not wanted.category or wanted.category in _ids(list_activities(statement, "category")))
        )


class VleXapiOptions(SourceOptions):
    """Section [vle_xapi]."""

    url: str = ""  # https://lrs.example.ac.uk/xAPI, to which /statements is added
    user: str = ""  # of HTTP Basic authentication; an account that may only read
    password_path: Path | None = None  # a file of mode 0600
    ca_bundle: Path | None = None  # an extra certificate authority
    rules: tuple[XapiRule, ...] = ()
    page_size: int = Field(500, ge=1, le=10_000)  # a store may give fewer


class StatementSorter:
    """Takes statements one by one, in any order, and counts every one of them.

    `counts`: statements = genai + unclassified + not_genai + voiding + unreadable; without_stored aside.
    `voided`: ids that a voiding statement of this pull names.
    """

    def __init__(self, rules: Sequence[XapiRule], voided: Iterable[str] = ()) -> None:
        self._rules = rules
        self.counts: Counter[str] = Counter()
        self.voided = set(voided)

    def take(self, statement: Any) -> tuple[str, bytes] | None:
        """The statement's id and canonical record; None for one that is not landed."""
        self.counts["statements"] += 1
        if not is_statement(statement):
            self.counts["unreadable"] += 1
            return "", make_record({}, "", None)
        self.counts["without_stored"] += not text_of(statement.get("stored"))
        target = object_of(statement["object"])
        object_id = text_of(target.get("id"))
        if target.get("objectType") == "StatementRef" and object_of(statement["verb"]).get("id") == VOIDED:
            self.counts["voiding"] += 1
            self.voided.add(object_id.lower())
            return None
        rule = next((rule for rule in self._rules if rule.fits(statement, object_id)), None)
        if rule is None and not looks_like_ai(object_id):
            self.counts["not_genai"] += 1
            return None
        self.counts["genai" if rule else "unclassified"] += 1
        feature, tool = (rule.feature, rule.tool) if rule else (name_unlisted(object_id), "")
        statement_id = text_of(statement.get("id")).lower()
        return statement_id, build_record(statement, statement_id, feature, tool)

    def keeps(self, statement_id: str) -> bool:
        """False for a statement that was voided; counts it. Ask when all statements were taken."""
        is_voided = bool(statement_id) and statement_id in self.voided
        self.counts["voided"] += is_voided
        return not is_voided

    def conclude(self) -> dict[str, Any]:
        """Facts of the manifest, without outcome."""
        names = ("statements", "genai", "unclassified", "not_genai", "voiding", "voided", "unreadable")
        return {name: self.counts[name] for name in names}


def build_record(statement: dict[str, Any], statement_id: str, feature: str, tool: str) -> bytes:
    success = object_of(statement.get("result")).get("success")
    return make_record(
        statement,
        statement_id,
        statement.get("timestamp") or statement.get("stored"),
        actor=name_actor(object_of(statement.get("actor"))),
        course=_find_course(statement),
        feature=feature,
        tool=tool,
        outcome={True: "success", False: "failure"}.get(success, "") if isinstance(success, bool) else "",
        map="xapi",
    )


def is_statement(value: Any) -> bool:
    """An actor, a verb with an id, and an object."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("actor"), dict)
        and isinstance(value.get("object"), dict)
        and bool(text_of(object_of(value.get("verb")).get("id")))
    )


def name_actor(actor: dict[str, Any]) -> str:
    """The one identifier of a person; a group is nobody."""
    if actor.get("objectType") == "Group":
        return ""
    account = text_of(object_of(actor.get("account")).get("name"))
    mailbox = text_of(actor.get("mbox")).removeprefix("mailto:")
    return account or mailbox or text_of(actor.get("mbox_sha1sum")) or text_of(actor.get("openid"))


def list_activities(statement: dict[str, Any], relation: str) -> list[Any]:
    activities = object_of(object_of(statement.get("context")).get("contextActivities"))
    return list_of(activities.get(relation))


def _find_course(statement: dict[str, Any]) -> str:
    """The first parent, else grouping, whose activity type ends in `course`."""
    for relation in ("parent", "grouping"):
        for activity in list_activities(statement, relation):
            kind = text_of(object_of(object_of(activity).get("definition")).get("type"))
            if kind.casefold().endswith("course"):
                return text_of(object_of(activity).get("id"))
    return ""


def _ids(activities: list[Any]) -> Iterator[str]:
    return (text_of(object_of(activity).get("id")) for activity in activities)


def _extensions(statement: dict[str, Any], definition: dict[str, Any]) -> set[str]:
    places = (object_of(statement.get("context")), object_of(statement.get("result")), definition)
    return {name for place in places for name in object_of(place.get("extensions"))}
