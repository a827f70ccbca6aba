"""Whether what a record says of files elsewhere is true: asked of their hosts, without downloading them."""
