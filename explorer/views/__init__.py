"""Gradio components and events: one part of the page a file, none of which knows another."""
