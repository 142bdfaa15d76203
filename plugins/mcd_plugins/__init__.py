"""Everything built in, one sub-package a plugin, registered exactly as a third party would."""
