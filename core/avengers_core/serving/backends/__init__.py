"""Who answers: what a backend can do, where it is, how it is told, and the pool of them."""
