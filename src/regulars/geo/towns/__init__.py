"""The towns of the world as GeoNames knows them: found by their names, whatever the accents, near a point, by id."""
