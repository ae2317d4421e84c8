"""The networks and what they minimise, in plain torch: no files, no Lightning."""
