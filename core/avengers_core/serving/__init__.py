"""What both plugins share: what a call needs, who can answer it, and who answers if one fails."""
