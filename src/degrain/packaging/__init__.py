"""A trained model as a folder that MLflow loads without degrain: ONNX, one file of code, a model card."""
