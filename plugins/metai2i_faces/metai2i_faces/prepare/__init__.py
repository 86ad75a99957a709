"""From videos, or folders of images, to people as `Faces` reads them."""
