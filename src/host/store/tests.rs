//! Does what was read come out again, once and for all, in constant memory?
