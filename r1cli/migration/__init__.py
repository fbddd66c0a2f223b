"""Old recipes made new: a flat YAML of open-r1 or TRL becomes one of r1, nothing lost unsaid."""
