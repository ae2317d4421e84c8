"""Lightning around the model: its steps, its data, what happens between epochs."""
