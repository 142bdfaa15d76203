"""The plugin host: it finds plugins, keeps them apart, and loads a component when it is used.

records
    what is known about a plugin and about a component on offer
sources
    where plugins come from: entry points of installed distributions, and files
importing
    Python files that a user names, imported
registration
    one plugin becomes one record, or a record of why it is broken
targets
    a component's target is imported and held to its contract
host
    the registry that the rest of mcd talks to
"""

from mcd.host.host import PluginHost
from mcd.host.records import Offer, PluginRecord
from mcd.host.sources import normalise

__all__ = ["Offer", "PluginHost", "PluginRecord", "normalise"]
