"""``mcd cav``: concept activation vectors, how sensitive outputs are to them, and what that is worth against chance."""
