//! Who changes their mind because of the contact: uplift models.
