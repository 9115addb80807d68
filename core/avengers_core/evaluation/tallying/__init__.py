"""What ways of choosing score and cost on held-out records, as sums that add up."""
