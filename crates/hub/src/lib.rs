//! crossrank-hub
