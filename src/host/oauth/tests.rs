//! Is a provider understood, whatever it answers?
