"""Noise kinds and geometric augmentation."""
