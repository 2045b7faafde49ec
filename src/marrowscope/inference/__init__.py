"""ONNX sessions and the model registry: hash, input contract, card.

card = load_card("si_region")            # models/si_region/card.yaml, checked
model = load_model("si_region")          # sessions made once, hashes checked
logits = model.run(batch)                # ensemble mean over the folds
logits = model.run(batch, fold=2)        # one fold, for a benchmark
fold = card.fold_that_never_saw(hashes)  # refuses what every fold was trained on
"""

from marrowscope.inference.card import InputContract, ModelCard, Weights, load_card, model_names
from marrowscope.inference.session import Model, load_model
from marrowscope.inference.slices import SliceStack, canonical_slices, onto_grid

__all__ = [
    "InputContract",
    "Model",
    "ModelCard",
    "SliceStack",
    "Weights",
    "canonical_slices",
    "load_card",
    "load_model",
    "model_names",
    "onto_grid",
]
