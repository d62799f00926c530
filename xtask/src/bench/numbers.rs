//! Medians, percentiles and confidence intervals.

/// The median and its 95 % confidence interval from order statistics, which needs no assumption about how
/// the values are spread.
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Of at least one value.
pub(crate) fn median(mut values: Vec<f64>) -> Median {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    // Ranks n/2 ± 0.98 √n: the normal approximation of the binomial distribution.
    let half = count as f64 / 2.0;
    let spread = 0.98 * (count as f64).sqrt();
    let at = |rank: f64| values[(rank.max(0.0) as usize).min(count - 1)];
    Median {
        value: percentile(&values, 0.5),
        low: at((half - spread).floor()),
        high: at((half + spread).ceil()),
    }
}

/// The value that the share `of` of the sorted values does not exceed.
pub(crate) fn percentile(sorted: &[f64], of: f64) -> f64 {
    let rank = (of * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_known_values() {
        let median = median((1..=31).rev().map(f64::from).collect());
        assert!((median.value - 16.0).abs() < f64::EPSILON);
        assert!(median.low < 16.0 && median.low > 8.0 && median.high > 16.0 && median.high < 24.0);
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((percentile(&values, 0.99) - 198.0).abs() < f64::EPSILON);
    }
}
