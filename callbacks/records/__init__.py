"""What a run leaves beside its weights: records, predictions, features."""
