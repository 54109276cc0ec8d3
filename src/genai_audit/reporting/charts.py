"""Bar charts as inline SVG, one panel a series, so that nothing depends on colour.

Altair writes the specification and vl-convert draws it, both offline (facts/tech.md §8.1). The drawing is
then rebuilt from an allow-list of elements and attributes, and its colours become CSS classes, so that the
same picture is readable on light, dark and paper. Days without data are a grey band, never a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from genai_audit.reporting.wording import MONTHS, NO_DATA, say_day, say_month, show_text

WIDTH = 720  # of the plot, in CSS pixels
SERIES_LIMIT = 4
INK, BAR, BAND, RULE = "#010101", "#020202", "#030303", "#040404"  # places to put CSS classes, not colours
CLASSES = {INK: "ink", BAR: "bar", BAND: "band", RULE: "rule"}
SUPPRESSED = "suppressed"
NO_DRAWING = Markup("")
ELEMENTS = ("g", "line", "path", "rect", "text", "tspan")
ATTRIBUTES = (
    "d", "dx", "dy", "font-size", "font-weight", "height", "stroke-width", "text-anchor",
    "transform", "width", "x", "x1", "x2", "y", "y1", "y2",
)  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """A drawing and the numbers in it: the page shows both. An empty chart is false.

    `rows`: the name of a day or month and a value for each of `series`, None where `absent` says why.
    """

    svg: Markup = NO_DRAWING
    series: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[int | None, ...]], ...] = ()
    absent: str = NO_DATA

    def __bool__(self) -> bool:
        return bool(self.svg)


def draw_days(name: str, title: str, alt: str, rows: Iterable[Mapping[str, Any]]) -> Chart:
    """Bars a day. `rows`: day (date), series (text), value (a count, None where nothing was collected)."""
    series, points = _gather(rows)
    if not series:
        return Chart()
    values = [
        {
            "start": day.isoformat(),
            "end": (day + timedelta(days=1)).isoformat(),
            "series": one,
            "value": value,
        }
        for day, cells in points.items()
        for one, value in cells.items()
    ]
    return Chart(
        _render(name, title, alt, _day_spec(values, series)), series, _list_rows(series, points, say_day)
    )


def draw_months(name: str, title: str, alt: str, rows: Iterable[Mapping[str, Any]]) -> Chart:
    """Bars a month, value above. `rows`: day (first of a month), series, value (None: suppressed)."""
    series, points = _gather(rows)
    if not series:
        return Chart()
    values = [
        {
            "month": _name_month(day),
            "series": one,
            "value": value or 0,
            "label": SUPPRESSED if value is None else f"{value:,}",
        }
        for day, cells in points.items()
        for one, value in cells.items()
    ]
    months = [_name_month(day) for day in points]
    return Chart(
        _render(name, title, alt, _month_spec(values, series, months)),
        series,
        _list_rows(series, points, say_month),
        SUPPRESSED,
    )


def _gather(
    rows: Iterable[Mapping[str, Any]],
) -> tuple[tuple[str, ...], dict[date, dict[str, int | None]]]:
    """Series in order of appearance (at most four) and their values by day."""
    listed = [(row["day"], show_text(str(row["series"])), row["value"]) for row in rows]
    series = tuple(dict.fromkeys(one for _, one, _ in listed))[:SERIES_LIMIT]
    points: dict[date, dict[str, int | None]] = {day: {} for day in sorted({day for day, _, _ in listed})}
    for day, one, value in listed:
        if one in series:
            points[day][one] = None if value is None else int(value)
    return series, points


def _list_rows(
    series: Sequence[str], points: Mapping[date, Mapping[str, int | None]], name: Callable[[date], str]
) -> tuple[tuple[str, tuple[int | None, ...]], ...]:
    return tuple((name(day), tuple(cells.get(one) for one in series)) for day, cells in points.items())


def _name_month(day: date) -> str:
    return f"{MONTHS[day.month - 1][:3]} {day.year}"


def _day_spec(values: list[dict[str, Any]], series: Sequence[str]) -> Any:
    import altair as alt

    height = 64
    x = alt.X(
        "start:T",
        scale=alt.Scale(type="utc", nice=False),
        axis=alt.Axis(format="%-d %b", title=None, tickCount=8, grid=False),
    )
    y = alt.Y("value:Q", axis=alt.Axis(tickCount=3, tickMinStep=1, title=None, format=",d"))
    bars = alt.Chart().mark_rect(color=BAR, stroke=None).encode(x=x, x2="end:T", y=y, y2=alt.datum(0))
    bands = (
        alt.Chart()
        .mark_rect(color=BAND)
        .encode(x=x, x2="end:T", y=alt.value(0), y2=alt.value(height))
        .transform_filter("datum.value === null")
    )
    layers = alt.layer(bands, bars, data=_inline(values)).properties(width=WIDTH, height=height)
    return _style(layers.facet(row=_panels(series), spacing=14))


def _month_spec(values: list[dict[str, Any]], series: Sequence[str], months: list[str]) -> Any:
    import altair as alt

    x = alt.X(
        "month:N",
        sort=months,
        scale=alt.Scale(padding=0.35),
        axis=alt.Axis(title=None, labelAngle=0, ticks=False, labelExpr="split(datum.label, ' ')"),
    )
    y = alt.Y("value:Q", axis=None)
    bars = alt.Chart().mark_bar(color=BAR).encode(x=x, y=y)
    labels = alt.Chart().mark_text(color=INK, dy=-7, fontSize=12).encode(x=x, y=y, text="label:N")
    layers = alt.layer(bars, labels, data=_inline(values)).properties(
        width=min(WIDTH, 110 * len(months) + 40), height=72
    )
    return _style(layers.facet(row=_panels(series), spacing=22))


def _inline(values: list[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Data(values=values)  # type: ignore[no-untyped-call]


def _panels(series: Sequence[str]) -> Any:
    import altair as alt

    header = alt.Header(
        title=None, labelOrient="top", labelAnchor="start", labelFontSize=13, labelFontWeight="bold",
        labelColor=INK, labelLimit=WIDTH, labelPadding=5,
    )  # fmt: skip
    return alt.Row("series:N", sort=list(series), header=header)


def _style(chart: Any) -> Any:
    return (
        chart.configure(background="transparent", padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK, labelFontSize=12, domainColor=RULE, tickColor=RULE, gridColor=RULE, gridWidth=0.5
        )
    )


def _render(name: str, title: str, alt_text: str, chart: Any) -> Markup:
    import vl_convert

    drawn = ElementTree.fromstring(vl_convert.vegalite_to_svg(chart.to_json(), allowed_base_urls=[]))
    inner = "".join(
        ElementTree.tostring(child, encoding="unicode") for child in map(_clean, drawn) if child is not None
    )
    return Markup(
        '<svg class="chart" viewBox="{box}" width="{width}" height="{height}" role="img" '
        'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{title}</title>'
        '<desc id="{name}-desc">{alt}</desc>{inner}</svg>'
    ).format(
        box=drawn.get("viewBox", ""), width=drawn.get("width", ""), height=drawn.get("height", ""),
        name=name, title=show_text(title), alt=show_text(alt_text), inner=Markup(inner),
    )  # fmt: skip


def _clean(element: ElementTree.Element) -> ElementTree.Element | None:
    """The same element with nothing but geometry, text and our classes; None when it draws nothing."""
    tag = element.tag.rsplit("}", 1)[-1]
    if tag not in ELEMENTS or element.get("display") == "none" or element.get("aria-hidden") == "true":
        return None
    kept = {name: element.get(name, "") for name in ATTRIBUTES if element.get(name)}
    classes = [
        f"{CLASSES[element.get(paint, '')]}-{paint}"
        for paint in ("fill", "stroke")
        if element.get(paint) in CLASSES
    ]
    clean = ElementTree.Element(tag, kept | ({"class": " ".join(classes)} if classes else {}))
    clean.text = element.text if tag in ("text", "tspan") else None
    clean.extend(child for child in map(_clean, element) if child is not None)
    if tag == "g" and not len(clean):
        return None
    return clean
