"""Records in, pictures and escaped HTML out; the only place that writes HTML, with no gradio and no torch."""
