"""The artifact: what fitting leaves of the records. Sums that add up, and how they are stored."""
