"""Data before training: read, look at, clean, filter, write. `r1 data` is its command line."""
