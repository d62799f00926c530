//! What was done with a socket, by the record of the call.

use runtime_core::Syscall;

use super::translate::Subject;
use crate::wire::NetworkRecord;

/// `None` for a call that does nothing with sockets: then the record is not what its kind says.
pub(super) fn network_activity(_syscall: Syscall, _record: &NetworkRecord<'_>) -> Option<Subject> {
    None
}
