"""A model for other programs: as a BioImage.IO package, whose weights need none of this library."""
