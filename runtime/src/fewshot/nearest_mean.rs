//! The nearest-class-mean head as a linear one.

/// A dual coefficient is `1 / count` for each example of the class, so that the weights are the
/// class mean `m`; the bias is `-|m|^2 / 2`.
///
/// A score `m.x - |m|^2 / 2` is `(|x|^2 - |x - m|^2) / 2`: the class with the best score is the one
/// whose mean is nearest to `x` (Snell et al. 2017, section 2.4; with centred unit vectors, Wang et
/// al. 2019, "SimpleShot").
pub(super) fn fit(k: &[f32], y: &[u8], dual: &mut [f32], bias: &mut [f32]) {
    let n = y.len();
    for (class, (dual, bias)) in dual.chunks_exact_mut(n).zip(bias).enumerate() {
        let is_member = |label: &u8| usize::from(*label) == class;
        let count = y.iter().filter(|label| is_member(label)).count() as f32;
        let (mut square, members) = (0.0, || y.iter().map(is_member));
        for (row, _) in k
            .chunks_exact(n)
            .zip(members())
            .filter(|(_, member)| *member)
        {
            let own = row.iter().zip(members()).filter(|(_, member)| *member);
            square += own.map(|(product, _)| product).sum::<f32>();
        }
        for (dual, member) in dual.iter_mut().zip(members()) {
            *dual = if member { 1.0 / count } else { 0.0 };
        }
        *bias = -0.5 * square / (count * count);
    }
}
