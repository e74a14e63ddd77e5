//! One node of the pair as a value: step(now, input, out).
#![forbid(unsafe_code)]
