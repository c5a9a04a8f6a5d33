"""From the model to artifacts. A backend never writes and never imports another backend."""
