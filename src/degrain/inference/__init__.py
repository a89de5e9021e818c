"""Denoising whole images and files with a trained model."""
