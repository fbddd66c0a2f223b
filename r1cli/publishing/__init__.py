"""A run to the hub: what it has to offer, its card, the push, and what is left of it."""
