"""Places: towns of the world and the customers' stores."""
