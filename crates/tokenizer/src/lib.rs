//! crossrank-tokenizer
