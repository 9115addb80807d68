"""When backends fail: whose fault it is, who is asked next, and who is left alone for a while."""
