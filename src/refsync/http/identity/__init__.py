"""Who asks: providers that each know some people, tried in the config's order, and what those may do."""
