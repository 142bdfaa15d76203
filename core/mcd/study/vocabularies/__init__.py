"""All that is done with vocabularies: from what a user types to what is known of a concept set.

loading
    a name, a file, or several, become a concept set
reading
    files of many kinds become terms, each with where it was found
importing
    those terms become one concept set, and what had to be decided on the way
folding
    what two spellings of a term have in common
lint, findings
    what to know about a concept set before neurons are named with it, and how it is reported
coverage
    which concepts the labels of a probe set cover
"""
