"""Pull the windows of one source into landing, side by side; a source that can't be asked is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from genai_audit import registry
from genai_audit.calendars import Window
from genai_audit.configuration import options_of
from genai_audit.errors import (
    BusyError,
    GenaiAuditError,
    IntegrityError,
    SoftwareError,
    SourceUnavailableError,
)
from genai_audit.landing import Landing, Package
from genai_audit.runs import Run

STOPS_THE_RUN = (SoftwareError, IntegrityError, BusyError)  # whichever source meets it


class Refused(dict[str, GenaiAuditError]):
    """By source: why it can't be asked until somebody has mended something (a password, a driver, a file)."""


def pull_windows(
    run: Run, landing: Landing, source_id: str, windows: Sequence[Window], refused: Refused | None
) -> None:
    """What must be mended first is noted in `refused`, and no further window is asked; None: it is raised."""
    pool = ThreadPoolExecutor(options_of(run.settings, source_id).parallel_windows)
    is_interrupted, unasked = False, 0
    try:
        tasks = [pool.submit(_pull_window, run, landing, source_id, one, refused) for one in windows]
        for done, task in enumerate(tasks, start=1):
            package = task.result()
            if package:
                run.landed.append(package)
            unasked += package is None
            run.advance(f"pull {source_id}", done, len(tasks))
    except KeyboardInterrupt:
        is_interrupted = True
        raise
    finally:
        # Nobody may write into landing after the lock is let go; Ctrl-C ends the whole process instead.
        pool.shutdown(wait=not is_interrupted, cancel_futures=True)
    if unasked:
        run.gaps.append(f"{source_id}: {unasked} more window(s) not asked, they would fail alike")


def _pull_window(
    run: Run, landing: Landing, source_id: str, window: Window, refused: Refused | None
) -> Package | None:
    """None: not asked."""
    if refused and source_id in refused:
        return None
    source = registry.sources()[source_id]
    assert source.pull is not None
    writer = landing.open_package(source_id, source, window)
    try:
        for page in source.pull(window, run.context(source_id)):
            writer.add(page)
        is_proof = writer.accepted or window.end > run.started_at - source.keeps
        words = f"nothing came, but only {source.keeps.days} days are kept: it is no proof of no use"
        package = writer.close(*(() if is_proof else ("unproven", words)))
    except SourceUnavailableError as error:
        package = writer.close("partial" if writer.accepted else "failed", str(error))
    except GenaiAuditError as error:
        if refused is None or isinstance(error, STOPS_THE_RUN):
            writer.discard()
            raise
        package = writer.close("partial" if writer.accepted else "failed", error.what)
        if refused.setdefault(source_id, error) is error:
            run.say(f"{source_id}: {error} {error.next_step}")
    except BaseException:
        writer.discard()
        raise
    if package.outcome != "complete":
        run.gaps.append(f"{source_id} {window}: {package.outcome}: {package.reason}")
    return package
