"""Tests; some compare machines, so what makes libraries compute in another way is not taken over from the outside."""

import os

from degrain.machine.variables import ARITHMETIC

for name in ARITHMETIC:
    os.environ.pop(name, None)
