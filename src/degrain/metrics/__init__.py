"""Metrics of denoised images."""
