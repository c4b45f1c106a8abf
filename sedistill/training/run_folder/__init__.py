"""What lies in a run's folder: config.yaml, identity.yaml, metrics.csv and the checkpoints."""
