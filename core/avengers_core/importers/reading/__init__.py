"""Files of rows, alone, in folders and in archives."""
