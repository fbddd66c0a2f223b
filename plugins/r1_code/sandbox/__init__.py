"""The rootless sandbox that holds what a model wrote. It knows no language and no verdict."""
