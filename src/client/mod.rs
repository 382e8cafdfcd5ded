//! Our own tools as clients: how they reach a gateway, and whom they trust.

pub mod tls;
