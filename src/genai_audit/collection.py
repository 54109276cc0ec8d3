"""Fill landing: pull what is due from every source, or take files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from genai_audit import register_versions, registry
from genai_audit.calendars import Window, format_instant, read_instant
from genai_audit.configuration import options_of
from genai_audit.errors import BadDataError, SourceUnavailableError, UsageError
from genai_audit.landing import Landing, Package, packages
from genai_audit.pulling import Refused, pull_windows
from genai_audit.runs import Run
from genai_audit.settings import Settings
from genai_audit.workspace import Workspace, canonical_json, write_durably

READ = ("complete", "unproven", "capped")  # outcomes after which asking again brings nothing new
ASKED = "asked.json"
NOTHING_DUE = "{}: nothing to ask, today's snapshot is there already"


def due_windows(run: Run, source_id: str, chain: Sequence[Package]) -> list[Window]:
    """Windows that a plain `run` owes: the last days again, for late records, and all that is still unread.

    Unread is whatever lies between the first instant that was ever asked for and now, and that no package
    has read to its end: windows that failed or broke off, holes that a killed run left.
    """
    source, options = find_source(source_id), options_of(run.settings, source_id)
    if source.is_snapshot:
        return _due_snapshot(run, source_id, chain)
    read = sorted(p.window for p in chain
                  if p.source == source_id and p.window and p.outcome in READ)  # fmt: skip
    asked_from = _read_asked_from(run, source_id)
    if not asked_from:
        first = run.started_at - timedelta(days=options.first_pull_days)
        return plan_windows(Window(first, run.started_at), options.window_hours)
    oldest = max(asked_from, run.started_at - source.keeps)
    newest = max((window.end for window in read), default=oldest)
    again_from = max(oldest, min(newest, run.started_at) - timedelta(days=options.overlap_days))
    due = [Window(again_from, run.started_at)]
    if oldest < again_from:
        due += _subtract(Window(oldest, again_from), read)
    return sorted({one for span in due for one in plan_windows(span, options.window_hours)})


def _due_snapshot(run: Run, source_id: str, chain: Sequence[Package]) -> list[Window]:
    """From the day's first instant (UTC) to now, unless the day has a whole snapshot already."""
    midnight = run.started_at.replace(hour=0, minute=0, second=0, microsecond=0)
    taken = any(
        p.window.start >= midnight
        for p in chain
        if p.source == source_id and p.window and p.outcome == "complete"
    )
    return [] if taken else [Window(midnight, max(run.started_at, midnight + timedelta(seconds=1)))]


def _windows_to_pull(
    run: Run, source_id: str, window: Window | None, chain: Sequence[Package]
) -> list[Window]:
    if window is None or find_source(source_id).is_snapshot:
        return due_windows(run, source_id, chain)
    return plan_windows(window, options_of(run.settings, source_id).window_hours)


def _subtract(span: Window, read: Sequence[Window]) -> Iterator[Window]:
    """What is left of `span` without the sorted windows `read`."""
    reached = span.start
    for window in read:
        if window.start >= span.end:
            break
        if window.start > reached:
            yield Window(reached, window.start)
        reached = max(reached, window.end)
    if reached < span.end:
        yield Window(reached, span.end)


def _read_asked_from(run: Run, source_id: str) -> datetime | None:
    path = run.context(source_id).state_dir / ASKED
    return read_instant(json.loads(path.read_bytes())["from"]) if path.exists() else None


def _note_asked(run: Run, source_id: str, windows: Sequence[Window]) -> None:
    """Write down what is about to be asked for: a killed run must not leave a hole that nobody knows of."""
    known = _read_asked_from(run, source_id)
    first = min([windows[0].start, *([known] if known else [])])
    path = run.context(source_id).state_dir / ASKED
    write_durably(path, canonical_json({"from": format_instant(first)}))


def plan_windows(window: Window, hours: int) -> list[Window]:
    """Cut at whole hours of UTC from the window's first midnight, so that two pulls of a day ask the same."""
    step = timedelta(hours=hours)
    midnight = window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    cuts = Window(midnight, max(window.end, midnight + timedelta(seconds=1))).split(step)
    return [Window(max(cut.start, window.start), cut.end) for cut in cuts if cut.end > window.start]


def pull(run: Run, window: Window | None = None, source_ids: Sequence[str] | None = None) -> None:
    """Collect every due window of every source into landing. A source that fails does not stop the others,
    unless it was asked for by name, or nothing came from any."""
    run.window = window
    landing, refused = Landing(run.workspace, run.settings, run.run_id), Refused()
    _land_registers(run, landing)
    for source_id in source_ids or run.settings.sources.enabled:
        source = find_source(source_id)
        if source.pull is None:
            raise UsageError(
                f"'{source_id}' is read from files, not pulled.",
                where="--source",
                next_step="Use `genai-audit import FILE`.",
            )
        if not source_ids and not run.is_configured(source_id):
            run.say(f"{source_id}: not configured, nothing pulled: {run.what_is_missing(source_id)}")
            if source_id in run.settings.sources.expected:
                run.gaps.append(f"{source_id}: expected, but not configured")
            continue
        windows = _windows_to_pull(run, source_id, window, landing.closed)
        if not windows:
            run.say(NOTHING_DUE.format(source_id))
            continue
        run.say(f"{source_id}: {len(windows)} window(s) to pull")
        if not source.is_snapshot:
            _note_asked(run, source_id, windows)
        pull_windows(run, landing, source_id, windows, None if source_ids else refused)
    pulled = [package for package in run.landed if package.source != register_versions.SOURCE]
    if refused and all(package.outcome == "failed" for package in pulled):
        raise next(iter(refused.values()))


def _land_registers(run: Run, landing: Landing) -> None:
    """Sources read the CSV files: what they read is landed first, and a mistake stops before a question."""
    context = run.context(register_versions.SOURCE)
    run.landed += register_versions.land_changed(landing, context, run.say)
    run.gaps += register_versions.find_missing(landing.closed, context.registers)


def import_files(run: Run, files: Iterable[Path], kind: str | None = None) -> None:
    """Take files; each is recognised by its content unless `kind` is given. One package or more a file."""
    landing = Landing(run.workspace, run.settings, run.run_id)
    for file in files:
        source_id, found = recognise(file, kind, run.workspace.registers)
        _import_file(run, landing, source_id, found, file)


def recognise(file: Path, kind: str | None = None, registers: Path | None = None) -> tuple[str, str]:
    """Source id and kind of a file, from its first bytes or from `kind`, which may be the name of a map in a
    folder of `registers`."""
    if not file.is_file():
        raise UsageError("There is no such file.", where=file.name, next_step="Check the path.")
    with file.open("rb") as opened:
        head = opened.read(65_536)
    for source_id, source in registry.sources().items():
        found = source.recognise(file, head) if source.recognise else None
        if found and kind in (None, found, source_id):
            return source_id, found
    if kind:
        listed = [name for name, source in registry.sources().items() if kind in source.kinds]
        open_to_all = sorted(
            (name for name, source in registry.sources().items() if source.takes_own_kinds),
            key=lambda name: not _has_own_kind(name, kind, registers),
        )
        if listed + open_to_all:
            return (listed + open_to_all)[0], kind
    raise BadDataError(
        "This file is no export that we know.",
        where=file.name,
        next_step="Name its kind with --kind, or see `genai-audit import --help` for what is taken.",
    )


def _has_own_kind(source_id: str, kind: str, registers: Path | None) -> bool:
    folder = find_source(source_id).own_kinds
    return bool(registers and folder and (registers / folder / f"{kind}.toml").is_file())


def _import_file(run: Run, landing: Landing, source_id: str, kind: str, file: Path) -> None:
    source = find_source(source_id)
    assert source.read is not None
    first = len(run.landed)
    writer = landing.open_package(source_id, source, None)
    try:
        for page in source.read(file, kind, run.context(source_id)):
            if source.family and writer.accepted >= run.settings.limits.package_records:
                run.landed.append(writer.close())
                writer = landing.open_package(source_id, source, None)
            writer.add(page)
        run.landed.append(writer.close())
    except BaseException:
        writer.discard()
        raise
    run.say(f"{source_id} ({kind}): {sum(p.counts['accepted'] for p in run.landed[first:])} records")


def find_source(source_id: str) -> registry.Source:
    known = registry.sources()
    if source_id not in known:
        raise UsageError(
            f"There is no source '{source_id}'.", where="--source", next_step=f"Known: {', '.join(known)}."
        )
    return known[source_id]


def describe_plan(
    workspace: Workspace, settings: Settings, window: Window | None, source_ids: Sequence[str] | None
) -> list[str]:
    """What a pull would ask, and at least how many requests that is. Makes no request."""
    run, chain = Run(workspace, settings, "plan"), packages(workspace)
    lines = []
    for source_id in source_ids or settings.sources.enabled:
        source = find_source(source_id)
        if source.pull is None:
            lines.append(f"{source_id}: read from files, not pulled (use `genai-audit import FILE`)")
            continue
        if missing := run.what_is_missing(source_id):
            lines.append(f"{source_id}: not configured, nothing to pull: {missing}")
            continue
        windows = _windows_to_pull(run, source_id, window, chain)
        if not windows:
            lines.append(NOTHING_DUE.format(source_id))
            continue
        span = f"{format_instant(windows[0].start)} to {format_instant(windows[-1].end)}"
        lines.append(f"{source_id}: {len(windows)} window(s), {span}")
        lines.append(f"  at least {source.requests * len(windows)} requests, {source.requests} each")
        if source.budget:
            lines.append(f"  {source.budget(run.context(source_id))}")
        if source.needs:
            lines.append(f"  permission: {', '.join(source.needs)}")
    return lines


def raise_if_nothing_came(run: Run) -> None:
    """A pull of which every window failed is a source that can't be reached."""
    pulled = [package for package in run.landed if package.source != register_versions.SOURCE]
    if pulled and all(package.outcome == "failed" for package in pulled):
        raise SourceUnavailableError(
            f"No window could be read: {pulled[-1].reason}",
            where=pulled[-1].source,
            next_step="Run `genai-audit doctor`; the failed windows are recorded and pulled again next time.",
        )
