"""One page to explore runs in: a single file, no network, no server."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_reporters() -> list[Component]:
    """Offer the page."""
    return [
        Component(
            "html",
            "mcd_plugins.explorer.reporter:HtmlReporter",
            "A page to explore one run, or several",
            requires=("jinja2",),
            files=("*.html",),
        ),
    ]
