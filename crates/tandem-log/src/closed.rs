//! Reads the segments that are closed, while the log goes on: bytes rot unseen where nobody reads them.

use std::io;

use tandem_disk::{Access, Disk};
use tandem_types::{Lsn, PairId};

use crate::recover::{RecoverError, RecoverOptions, Scan, Verify, list_segments, open_segment};

/// What a look at the closed segments of a log found.
#[derive(Debug, Default)]
pub struct ClosedCheck {
    /// Segments that were read to their end.
    pub segments: u64,
    /// Bytes of records in them.
    pub bytes: u64,
    /// The look was called off.
    pub stopped: bool,
    /// What is wrong, in the order of the log: one finding for a segment.
    pub errors: Vec<RecoverError>,
}

/// Reads every record of the segments before the newest one and changes nothing. `pace` is told of the bytes
/// as they are read; it may wait, and says whether to go on.
///
/// The writer may go on meanwhile: the newest segment is left alone, and one that is removed is passed over.
///
/// # Errors
/// The directory cannot be read.
pub fn check_closed<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    pace: &mut dyn FnMut(u64) -> bool,
) -> Result<ClosedCheck, RecoverError> {
    let firsts = list_segments(disk, dir)?;
    let mut check = ClosedCheck::default();
    let mut continues = false;
    let options = RecoverOptions { pair, from: Lsn::ZERO, verify: Verify::Everything };
    let (mut bytes, mut goes_on) = (0, true);
    let mut visit = |record: &crate::RecordView<'_>| {
        let read = u64::try_from(record.payload.len()).unwrap_or(u64::MAX);
        bytes += read;
        goes_on = goes_on && pace(read);
        if goes_on { Ok(()) } else { Err("called off".into()) }
    };
    let mut scan = Scan::new(disk, dir, &options, &mut visit);
    for (first, next) in firsts.iter().zip(firsts.iter().skip(1)) {
        let read = open_segment(disk, dir, *first, Access::Read)
            .and_then(|(file, header)| scan.closed(&file, &header, continues, *next));
        continues = match read {
            Ok(()) => {
                check.segments += 1;
                true
            }
            Err(RecoverError::Visit { .. }) => {
                check.stopped = true;
                break;
            }
            // Nobody needed it any more.
            Err(RecoverError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                false
            }
            Err(error) => {
                check.errors.push(error);
                false
            }
        };
    }
    check.bytes = bytes;
    Ok(check)
}

#[cfg(test)]
mod tests {
    use tandem_disk::{DiskFile, SimDisk};

    use super::*;
    use crate::segment::{path, segment_name};
    use crate::testing::filled_log;

    #[test]
    fn a_flipped_byte_in_a_closed_segment_is_found_and_the_others_are_read_on() {
        let disk = SimDisk::new(1);
        let (pair, dir) = filled_log(&disk);
        let firsts = list_segments(&disk, dir).unwrap();
        assert!(firsts.len() > 3, "{firsts:?}");
        let whole = check_closed(&disk, dir, pair, &mut |_| true).unwrap();
        assert!(whole.errors.is_empty() && !whole.stopped, "{whole:?}");
        assert_eq!(whole.segments, firsts.len() as u64 - 1);
        let name = path(dir, &segment_name(firsts[1]));
        let file = disk.open(&name, Access::Write).unwrap();
        let mut byte = [0];
        file.read_exact_at(700, &mut byte).unwrap();
        file.write_at(700, &[byte[0] ^ 1]).unwrap();
        let found = check_closed(&disk, dir, pair, &mut |_| true).unwrap();
        assert_eq!(found.segments, whole.segments - 1);
        let [RecoverError::Damaged(damage)] = &found.errors[..] else { panic!("{found:?}") };
        assert_eq!(damage.file, name);
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let disk = SimDisk::new(1);
        let (pair, dir) = filled_log(&disk);
        let mut read = 0;
        let check = check_closed(&disk, dir, pair, &mut |_| {
            read += 1;
            read < 3
        });
        assert!(check.unwrap().stopped);
        assert_eq!(read, 3);
    }
}
