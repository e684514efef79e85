"""The board by hand: its buttons are pressed by a person, in the browser or at the terminal."""
