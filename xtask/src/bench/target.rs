//! Figures beside what they are to be.

/// A figure that is to be at most `target`, both with so many decimals.
pub(crate) fn at_most(value: f64, target: f64, decimals: usize, unit: &str) -> String {
    let met = shown(value, decimals) <= shown(target, decimals);
    line(value, "at most", target, decimals, unit, met)
}

/// A figure that is to be at least `target`.
pub(crate) fn at_least(value: f64, target: f64, decimals: usize, unit: &str) -> String {
    let met = shown(value, decimals) >= shown(target, decimals);
    line(value, "at least", target, decimals, unit, met)
}

fn line(value: f64, relation: &str, target: f64, decimals: usize, unit: &str, met: bool) -> String {
    let verdict = verdict(met);
    format!("{value:.decimals$} {unit} (target: {relation} {target:.decimals$}, {verdict})")
}

/// Whether a target is met, in a word that stands out where it is not.
pub(crate) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// As it is shown, so that what reads as equal is judged as equal.
pub(crate) fn shown(value: f64, decimals: usize) -> f64 {
    let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(i32::MAX));
    (value * scale).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_as_equal_is_met() {
        assert_eq!(
            at_most(0.01004, 0.01, 4, "of a core"),
            "0.0100 of a core (target: at most 0.0100, met)"
        );
        assert_eq!(
            at_most(25.06, 25.0, 1, "MiB"),
            "25.1 MiB (target: at most 25.0, MISSED)"
        );
        assert_eq!(
            at_least(1.499, 1.5, 2, "million"),
            "1.50 million (target: at least 1.50, met)"
        );
        assert_eq!(
            at_least(1.49, 1.5, 2, "million"),
            "1.49 million (target: at least 1.50, MISSED)"
        );
    }
}
