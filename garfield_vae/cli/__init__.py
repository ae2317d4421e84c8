"""The scripts' options, and the flags that set them."""
