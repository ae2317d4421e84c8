"""What every package uses: files written whole, errors, progress, pictures."""
