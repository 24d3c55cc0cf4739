//! Time until something happens: survival curves and hazard models.
