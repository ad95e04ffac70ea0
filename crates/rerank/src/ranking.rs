//! From logits to an order.

use std::cmp::Ordering;

/// The logistic function, once, in f64: in f32 it reaches 1 from a logit of 17 on.
pub fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// Best first; equal logits keep their input order; what has no logit follows in input order.
pub(crate) fn order(logits: &[Option<f32>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| match (logits[a], logits[b]) {
        (Some(left), Some(right)) => right.total_cmp(&left),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_keep_input_order_and_the_unscored_come_last() {
        assert_eq!(order(&[None, Some(1.0), Some(3.0), None, Some(1.0), Some(-9.0)]), [2, 1, 4, 5, 0, 3]);
    }

    #[test]
    fn the_sigmoid_tells_large_logits_apart() {
        assert!(sigmoid(20.0) < sigmoid(21.0) && sigmoid(21.0) < 1.0);
        assert!(sigmoid(-80.0) > 0.0);
        assert!((sigmoid(5.265_044) - 0.994_85).abs() < 1e-4);
    }
}
