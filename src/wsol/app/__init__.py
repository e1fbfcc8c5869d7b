"""The browser app of ``wsol app``."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported and reads it
