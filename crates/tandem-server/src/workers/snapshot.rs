//! Writes slots to a snapshot file.

use tandem_node::SnapshotCommand;

