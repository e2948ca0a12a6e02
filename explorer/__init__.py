"""The app: a browser window on a ConceptHash model, its concept maps and its gallery."""
