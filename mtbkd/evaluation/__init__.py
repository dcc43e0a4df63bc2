"""Scores of predictions: calibration, uncertainty, selective prediction, agreement, diagnostics."""
