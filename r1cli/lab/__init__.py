"""The lab: rewards looked at, tested, run over files, compared, timed and attacked."""
