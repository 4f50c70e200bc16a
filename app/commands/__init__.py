"""Commands for people and scripts; each prints text or, with --json, one JSON document."""
