//! The snapshot file: slots as opaque bytes with the LSN each was taken at.
#![forbid(unsafe_code)]
