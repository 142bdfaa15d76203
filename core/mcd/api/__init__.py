"""The contracts between the engine and its plugins, one a file. Import them from `mcd`."""
