"""degrain: train, compare and register image-denoising autoencoders, reproducibly."""

from degrain import extras

__version__ = "0.1.0"

extras.install_finder()
