"""What a person runs: the `lightning` command and one YAML file an experiment."""
