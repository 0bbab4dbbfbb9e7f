//! Does a name server that is dead, slow, lying or mad cost more than a deferred message?
