"""Cross-validation: folds as processes of their own, resumed, checked and summed up."""
