"""Rewards that run the completion's program: what it is, which tests it gets, who judges them."""
