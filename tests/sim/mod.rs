//! Seeded simulations of what must hold whatever the timing is.

mod positions;
