"""Reading pages in tests: elements, visible text, embedded data."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "input", "br", "img", "hr"}
UNSEEN = {"script", "style", "title"}


@dataclass
class Element:
    """A tag with its attributes and the text inside."""

    tag: str
    attributes: dict[str, str]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text inside, white space collapsed."""
        return " ".join("".join(self.words).split())


class Page(HTMLParser):
    """A parsed page; `elements` in document order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.visible: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element and, unless it is void, collect its text."""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element of this tag."""
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Give the text to every open element."""
        for element in self._open:
            element.words.append(data)
        if not any(element.tag in UNSEEN for element in self._open):
            self.visible.append(data)

    @property
    def text(self) -> str:
        """All visible text, white space collapsed."""
        return " ".join("".join(self.visible).split())

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Elements of a tag with these attributes (`_` stands for `-`, `class_` for class)."""
        wanted = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items()}
        return [
            e
            for e in self.elements
            if e.tag == tag and all(e.attributes.get(k) == v for k, v in wanted.items())
        ]

    def by_id(self, name: str) -> Element:
        """The one element with this id."""
        (found,) = [e for e in self.elements if e.attributes.get("id") == name]
        return found

    def data(self, name: str) -> Any:
        """The JSON embedded under this id."""
        return json.loads("".join(self.by_id(name).words))
