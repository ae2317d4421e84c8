"""The shape of a strip: three panels, each an RGB picture."""

PANELS = 3
CHANNELS = 3
PANEL_HEIGHT, PANEL_WIDTH = 176, 200  # pixels, where no flag says otherwise
