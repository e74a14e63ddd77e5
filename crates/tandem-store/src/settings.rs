//! What `CONFIG SET` can change in the store.

/// Thresholds at which Redis would leave a compact encoding; they decide what `OBJECT ENCODING` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// `list-max-listpack-size`: elements if positive, -1 to -5 for 4 to 64 KiB.
    pub list_max_listpack_size: i64,
    /// `hash-max-listpack-entries`.
    pub hash_max_listpack_entries: u64,
    /// `hash-max-listpack-value`, in bytes.
    pub hash_max_listpack_value: u64,
    /// `set-max-intset-entries`.
    pub set_max_intset_entries: u64,
    /// `set-max-listpack-entries`.
    pub set_max_listpack_entries: u64,
    /// `set-max-listpack-value`, in bytes.
    pub set_max_listpack_value: u64,
    /// `zset-max-listpack-entries`.
    pub zset_max_listpack_entries: u64,
    /// `zset-max-listpack-value`, in bytes.
    pub zset_max_listpack_value: u64,
    /// `stream-node-max-entries`: of one block; 0 is no limit.
    pub stream_node_max_entries: u64,
    /// `stream-node-max-bytes`: of one block; 0 is no limit.
    pub stream_node_max_bytes: u64,
}

impl Default for Limits {
    /// Redis 7.2's.
    fn default() -> Self {
        Self {
            list_max_listpack_size: -2,
            hash_max_listpack_entries: 128,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            stream_node_max_entries: 100,
            stream_node_max_bytes: 4096,
        }
    }
}

/// Settings of a store; changed at any time through [`crate::Store::settings_mut`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Encoding thresholds.
    pub limits: Limits,
    /// `maxmemory` in bytes; 0 is no limit. Beyond it, commands that may grow memory are refused.
    pub maxmemory_bytes: u64,
    /// `proto-max-bulk-len`: the longest string value, in bytes.
    pub string_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Limits::default(), maxmemory_bytes: 0, string_bytes_max: 512 << 20 }
    }
}
