"""ONNX sessions and the model registry: hash, input contract, card."""
