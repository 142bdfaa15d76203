"""``mcd bench``: labelling methods compared on units of which it is known what they follow, for they were planted."""
