"""The options of both scripts, and the flags that set them."""
