"""How right the labels of a stored run are, by patients that did not name its neurons."""
