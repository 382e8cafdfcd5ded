//! What listens: sockets, TLS, and what becomes of each connection.

pub mod tls;
