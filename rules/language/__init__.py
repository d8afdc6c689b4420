"""From YAML to `rules.profile.Profile`, or every mistake of a file at its place."""
