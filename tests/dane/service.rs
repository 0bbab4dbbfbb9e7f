//! Are the servers that SRV records name tried in their order, and believed no further than they may be?
