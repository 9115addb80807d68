"""What all chapters use: files, connections, processors, progress, ranges of numbers."""
