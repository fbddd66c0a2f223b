"""Samples to look at: chosen (`choose.py`), as text, or as one HTML file that needs no network."""
