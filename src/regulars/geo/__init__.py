"""Places: towns of the world and the tenants' own stores."""
