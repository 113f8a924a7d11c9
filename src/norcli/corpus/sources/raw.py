"""A document on its way into the pipeline: a record's text, or a page still to be extracted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from norcli.formats.documents import Place


@dataclass(slots=True)
class RawDocument:
    """What a source hands to the pipeline.

    Attributes:
        place: Where it was read.
        fields: Its fields but the text.
        text: The text, None for a page.
        page: The bytes of an HTML page.
        charset: What the page's HTTP header says of its encoding.
        fault: Why there is neither: the reason in the funnel (``not_html``, ``http_status``).
        fault_value: What was found instead, such as the status.
    """

    place: Place
    fields: dict[str, Any]
    text: str | None = None
    page: bytes | None = None
    charset: str | None = None
    fault: str | None = None
    fault_value: str | int = ""

    @property
    def size(self) -> int:
        """About how many bytes it holds, for making batches of even size."""
        return len(self.page) if self.page is not None else len(self.text or "")
