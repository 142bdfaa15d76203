"""The terminal: a summary at the end of a run. Progress bars during it are the plugin `watching`."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_reporters() -> list[Component]:
    """Offer the summary."""
    return [Component("console", "mcd_plugins.console.summary:ConsoleReporter", "A summary on the terminal")]
