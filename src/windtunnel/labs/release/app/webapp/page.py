"""The page that the release lab ships."""

import html


def render(text, host):
    """The whole page: the release's text, and which machine serves it."""
    return (
        "<!doctype html><title>webapp</title>"
        f"<h1>{html.escape(text)}</h1><p>served by {html.escape(host)}</p>\n"
    )
