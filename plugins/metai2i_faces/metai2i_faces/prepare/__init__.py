"""From videos, or folders of pictures, to people as `Faces` reads them."""
