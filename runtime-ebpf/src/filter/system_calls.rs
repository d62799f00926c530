//! Calls that concern system.

use super::calls::CallSpec;

/// All of them.
pub(super) const CALLS: &[CallSpec] = &[];
