"""ConceptHash: interpretable fine-grained hashing with concept tokens in a vision transformer."""

__version__ = "0.1.0"
