"""degrain: train, compare and register image-denoising autoencoders, reproducibly."""

__version__ = "0.1.0"
