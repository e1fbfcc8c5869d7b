"""What the pages are made with: figures from the code itself, and links to files beside ``docs/``."""
