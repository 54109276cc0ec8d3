"""What can be configured for Blackboard's REST interface, and what its calls will cost."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from genai_audit.calendars import format_instant
from genai_audit.registry import SourceContext
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._call_budget import CallBudget


class BlackboardRestOptions(SourceOptions):
    """`memberships`: of courses whose term is running (two weeks before to 30 days after), of all, or of
    none: they cost one call a course. `school_level`: which level of the institutional hierarchy is the
    school, 1 being the top; 0 leaves the hierarchy unread."""

    url: str = ""  # https://learn.example.ac.uk
    application_key: str = ""  # of the application in the developer portal, registered in Learn
    secret_path: Path | None = None  # a file of mode 0600 that holds the application's secret
    ca_bundle: Path | None = None
    daily_calls: int = Field(10_000, ge=1)  # of all your applications together (Blackboard's default)
    reserve: int = Field(1_000, ge=0)  # of these, left to other applications
    page_size: int = Field(100, ge=1, le=200)
    school_level: int = Field(2, ge=0, le=20)
    memberships: Literal["current", "all", "none"] = "current"
    deadline_minutes: float = Field(240.0, gt=0)

    @model_validator(mode="after")
    def check_sense(self) -> BlackboardRestOptions:
        if self.reserve >= self.daily_calls:
            raise ValueError("reserve leaves no call of daily_calls")
        return self


def options_of(context: SourceContext) -> BlackboardRestOptions:
    assert isinstance(context.options, BlackboardRestOptions)
    return context.options


def open_budget(context: SourceContext) -> CallBudget:
    options = options_of(context)
    return CallBudget(context.state_dir, options.daily_calls - options.reserve, options.reserve)


def describe_budget(context: SourceContext) -> str:
    """What a pull will take of the day's calls; asks nothing."""
    budget = open_budget(context)
    planned = budget.planned
    since = f" since {format_instant(budget.since)}" if budget.since else ""
    known = (
        f"calls: about {planned:,} for everything, as last time"
        if planned
        else "calls: not known before the first run; one a course, and one for 100 entries of each other list"
    )
    words = f"{known}; {budget.allowed:,} allowed in 24 hours, {budget.spent:,} spent{since}"
    return words + ("; what is left over is read by the next run" if planned > budget.left else "")


def find_missing(settings: Settings, options: SourceOptions) -> str:
    """Settings without which nothing can be asked."""
    assert isinstance(options, BlackboardRestOptions)
    empty = [name for name in ("url", "application_key", "secret_path") if not getattr(options, name)]
    return f"fill {', '.join(empty)} under [blackboard_rest]" if empty else ""
