"""Providers that run programs elsewhere. What fails between here and there is never a score."""
