"""The stages of an audit as Prefect tasks: the functions of `genai_audit` named, and retries on pulls."""

import genai_audit  # isort: skip  # noqa: F401, switches telemetry off before Prefect is imported

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import State, task

from genai_audit import collection, loading, pipeline
from genai_audit.calendars import Window
from genai_audit.errors import GenaiAuditError, SoftwareError, SourceUnavailableError
from genai_audit.runs import Run

P = ParamSpec("P")
R = TypeVar("R")


def conceal(stage: Callable[P, R]) -> Callable[P, R]:
    """Prefect keeps messages and tracebacks; an unknown error's may quote a record: only its type is kept."""

    @wraps(stage)
    def run_stage(*args: P.args, **named: P.kwargs) -> R:
        try:
            return stage(*args, **named)
        except GenaiAuditError:
            raise
        except Exception as error:
            name = type(error).__name__
        raise SoftwareError(
            f"Our own bug ({name}).", where=stage.__name__, next_step="Run `genai-audit --debug run`."
        )

    return run_stage


def can_come_back(_task: object, _task_run: object, state: State[None]) -> bool:
    """A service may be back in a minute; a wrong setting will not be."""
    return isinstance(state.result(raise_on_failure=False), SourceUnavailableError)


@task(name="pull", retries=3, retry_delay_seconds=[60, 300, 900], retry_condition_fn=can_come_back)
@conceal
def pull_source(run: Run, source_id: str, window: Window | None) -> None:
    """Only a pull is tried again: a service may be away, our own stages are not."""
    landed, gaps = len(run.landed), len(run.gaps)
    collection.pull(run, window, [source_id])
    fresh = run.landed[landed:]
    if fresh and all(package.outcome == "failed" for package in fresh):
        del run.gaps[gaps:]  # the next attempt may fill them; the flow names the source if none does
        raise SourceUnavailableError("No window could be read.", where=source_id)


# A stage that fails is looked at, not tried again.
parse_and_load = task(name="parse and load")(conceal(loading.parse_and_load))
check = task(name="check")(conceal(pipeline.check))
detect = task(name="detect")(conceal(pipeline.detect))
publish = task(name="publish")(conceal(pipeline.publish))
report = task(name="report")(conceal(pipeline.report))
