//! Where a rising function meets 0, by false position.

/// Where the first of `f`, which rises from `at_zero` < 0 at 0, meets 0 on 0..=`high`, with the second there; none where
/// it stays below. False position with the Illinois weights, to a thousandth of `at_zero` or of the batch.
pub(super) fn root<T>(high: f64, at_zero: f64, f: impl Fn(f64) -> (f64, T)) -> Option<(f64, T)> {
    let (fb, at_b) = f(high);
    if fb < 0.0 {
        return None;
    }
    let (x, at_x) = between((0.0, at_zero), (high, fb), 1e-3 * at_zero.abs(), f);
    Some((x, at_x.unwrap_or(at_b)))
}

/// Steps by the line through the last two points before those between the ends alone.
const SECANTS: u32 = 6;

/// [`root`] between `a` and `b`, at which the first of `f` is known: to `near` or a thousandth of where it lies. Without the
/// second where it lies at `b` itself.
pub(super) fn between<T>(
    (mut a, mut fa): (f64, f64),
    (mut b, mut fb): (f64, f64),
    near: f64,
    f: impl Fn(f64) -> (f64, T),
) -> (f64, Option<T>) {
    let (mut side, mut at_b) = (0, None);
    // The last two points, with what `f` is there.
    let mut last: Option<[(f64, f64); 2]> = None;
    for round in 0..24 {
        if b - a <= 1e-3 * b || fb == fa {
            break;
        }
        // The ends are far away at first: the line through the last two points knows the slope near by, not far off.
        let x = last
            .filter(|_| round <= SECANTS)
            .map(|[(x0, f0), (x1, f1)]| ((x0 * f1 - x1 * f0) / (f1 - f0), x1))
            .filter(|(x, x1)| *x > a && *x < b && *x < 2.0 * x1)
            .map_or((a * fb - b * fa) / (fb - fa), |(x, _)| x);
        let (fx, at_x) = f(x);
        if fx.abs() <= near {
            return (x, Some(at_x));
        }
        let before = last.map_or(if fx < 0.0 { (a, fa) } else { (b, fb) }, |[_, before]| before);
        last = Some([before, (x, fx)]);
        if fx < 0.0 {
            (a, fa) = (x, fx);
            if side == -1 {
                fb *= 0.5;
            }
            side = -1;
        } else {
            (b, fb, at_b) = (x, fx, Some(at_x));
            if side == 1 {
                fa *= 0.5;
            }
            side = 1;
        }
    }
    (b, at_b)
}
