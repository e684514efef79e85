"""The board in the browser: a page of this machine's, for this machine's person."""
