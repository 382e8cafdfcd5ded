//! What serving keeps beside connections: the file of decisions, and what is counted.

pub mod decision_log;
pub mod metrics;
