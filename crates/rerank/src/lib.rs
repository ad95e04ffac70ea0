//! crossrank
