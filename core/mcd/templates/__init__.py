"""The scaffolds of ``mcd plugins new``: a template that copier reads too, and one part for each kind of plugin."""
