//! Customers without contracts: who is still alive, how much will they buy, what are they worth.
