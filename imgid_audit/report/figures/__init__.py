"""Geometry of figures, as text that templates draw. Only defined values are ever drawn."""
