"""How the numbers of the ledger are derived: one module a paper."""
