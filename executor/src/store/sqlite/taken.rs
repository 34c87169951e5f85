//! Claims that are taken away from outside.

/// The end of a claim whose body may still run: how long it may is kept, so that no second body of the
/// step starts before (SEMANTICS §3.2).
macro_rules! take_away {
    () => {
        "busy_until = MAX(COALESCE(lease_until, busy_until), COALESCE(busy_until, lease_until)), \
         lease_until = NULL, worker = NULL"
    };
}
