"""Dictionaries that other tools saved, as files of the unit source ``dictionary``."""
