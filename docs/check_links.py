"""Whether each link within the built pages leads somewhere: ``python docs/check_links.py HTML [--external]``.

Files, pictures and anchors are looked for; with ``--external`` the links to other sites are asked, too.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

TARGETS = {"a": "href", "area": "href", "img": "src", "link": "href", "script": "src", "source": "src"}


class Page(HTMLParser):
    """The anchors of a page, and where its links lead, with their lines."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[int, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids, names and links."""
        found = dict(attrs)
        self.anchors.update(value for key in ("id", "name") if (value := found.get(key)))
        target = found.get(TARGETS.get(tag, ""))
        if target and found.get("rel") not in ("preconnect", "canonical"):
            self.links.append((self.getpos()[0], target))


def dead_links(folder: Path, *, external: bool = False) -> Iterator[str]:
    """A line per link of the pages in `folder` that leads nowhere."""
    written = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.relative_to(folder).parts]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in written}
    asked: dict[str, str] = {}
    for path, page in pages.items():
        for line, link in page.links:
            where = f"{path.relative_to(folder)}:{line}: {link}"
            address = urlsplit(link)
            if address.scheme or address.netloc:
                if external and address.scheme in ("http", "https"):
                    if link not in asked:
                        asked[link] = answer(link)
                    if asked[link]:
                        yield f"{where}: {asked[link]}"
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path.resolve()
            if target.is_dir():
                target = target / "index.html"
            if not target.exists():
                yield f"{where}: there is no such file"
            elif address.fragment and target.suffix == ".html":
                anchors = pages[folder.resolve() / target.relative_to(folder.resolve())].anchors
                if unquote(address.fragment) not in anchors:
                    yield f"{where}: that page has no such anchor"


def answer(link: str) -> str:
    """Why a link to another site fails; empty where it does not."""
    request = urllib.request.Request(link, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        with urllib.request.urlopen(request, timeout=20):
            return ""
    except (OSError, urllib.error.URLError) as error:
        return str(error)


def main(arguments: list[str]) -> int:
    """Print the dead links; 1 if there are any."""
    folder = Path(arguments[0]).resolve()
    if not (folder / "index.html").exists():
        print(f"check_links: expected a folder of built pages, got {folder}; build them with sphinx first")
        return 2
    dead = list(dead_links(folder, external="--external" in arguments))
    print("\n".join([*dead, f"{len(dead)} dead links"]))
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
