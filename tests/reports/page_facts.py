"""Reads a page into the facts that the tests ask about: headings, tables, attributes, text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Table:
    caption: str = ""
    headings: list[dict[str, str]] = field(default_factory=list)  # attributes of each th
    rows: list[list[str]] = field(default_factory=list)  # text of th and td, the heading row first


class Page(HTMLParser):
    """Parsed with the standard library, so that a page that relies on a browser's forgiveness fails."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[tuple[int, str]] = []
        self.tables: list[Table] = []
        self.text = ""
        self.style = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append((int(tag[1]), ""))
        if tag == "table":
            self.tables.append(Table())
        if tag == "tr":
            self.tables[-1].rows.append([])
        if tag in ("th", "td"):
            self.tables[-1].rows[-1].append("")
        if tag == "th":
            self.tables[-1].headings.append(values)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:] or 'nothing'}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.style += data
            return
        self.text += data
        if any(tag in self.open for tag in ("h1", "h2", "h3", "h4")):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if "caption" in self.open:
            self.tables[-1].caption += data
        elif "th" in self.open or "td" in self.open:
            self.tables[-1].rows[-1][-1] += data

    def attributes(self, name: str) -> list[str]:
        return [values[name] for _, values in self.tags if name in values]

    def named(self, tag: str) -> list[dict[str, str]]:
        return [values for one, values in self.tags if one == tag]

    def table(self, caption: str) -> Table:
        return next(table for table in self.tables if table.caption.strip() == caption)

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())
