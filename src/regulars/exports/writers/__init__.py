"""Writers of exports, one for each format of files."""
