"""ConceptHash: interpretable fine-grained hashing with concept tokens in a vision transformer."""

import os

__version__ = "0.1.0"

# CPU tensors of 2 MB and more on pages of 2 MB where the system has them: large tensors are given back to it when
# freed, so that each step asks for cleared pages anew (tests/benchmarks/pages.py). torch reads it at its first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
