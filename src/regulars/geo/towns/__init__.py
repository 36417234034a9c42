"""Towns of the world from GeoNames: search by name, ignoring accents, by distance, and by id."""
