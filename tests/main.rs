//! tailstock against real servers: one binary, one module for each thing that is promised.

mod expressions;
