"""Work on vocabularies before they are used.

reading
    files of many kinds become terms, each with where it was found
importing
    those terms become one concept set, and what had to be decided on the way
folding
    what two spellings of a term have in common
lint
    what a neuron labeller should know about a concept set
"""
