//! HTTP: status, health, metrics, operator requests.
#![forbid(unsafe_code)]
