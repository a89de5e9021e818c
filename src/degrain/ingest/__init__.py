"""From anywhere to images and a manifest: data sets, fetching, file formats."""
