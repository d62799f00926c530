//! What was done to the system, to privileges or to another process, by the record of the call.

use runtime_core::process::Credentials;
use runtime_core::{CgroupId, ContainerId, Syscall};

use super::translate::Subject;
use crate::wire::SystemRecord;

/// `None` for a call that is no matter of this kind: then the record is not what its kind says.
pub(super) fn system_activity(
    _syscall: Syscall,
    _record: &SystemRecord<'_>,
    _before: &Credentials,
    _container_of: &dyn Fn(CgroupId) -> Option<ContainerId>,
) -> Option<Subject> {
    None
}
