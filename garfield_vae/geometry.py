"""A strip's shape: three panels, each a picture of three colours."""

PANELS = 3
CHANNELS = 3
PANEL_HEIGHT, PANEL_WIDTH = 176, 200  # pixels, where no flag says otherwise
