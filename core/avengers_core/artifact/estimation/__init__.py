"""What the sums let expect of models, also where they have been seen little."""
