//! crossrank
fn main() {}
