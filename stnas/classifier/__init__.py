"""A trained network with its classes and its preprocessing: what a user takes away."""

from stnas.classifier.classifier import Classifier, Prediction
from stnas.classifier.files import load, networks_of, save
from stnas.classifier.preprocessing import Preprocessing

__all__ = [
    "Classifier",
    "Prediction",
    "Preprocessing",
    "load",
    "networks_of",
    "save",
]
