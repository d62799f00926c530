//! Calls that concern network.

use super::calls::CallSpec;

/// All of them.
pub(super) const CALLS: &[CallSpec] = &[];
