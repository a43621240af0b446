//! Finds principal components: the two directions in which embeddings differ most.

/// Points in the plane of the first two principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// One `[x, y]` a row of the input.
    pub points: Vec<[f64; 2]>,
    /// Share of the variance along each axis, `0..=1`.
    pub explained: [f64; 2],
}

/// Projects `rows` of equal length on their first two principal components.
///
/// Power iteration on the covariance with deflation, from a fixed start, so the same rows give the
/// same picture; an axis points to where its largest loading is positive. Fewer than two rows, or
/// rows without variance, give points at the origin.
pub fn principal_components(rows: &[Vec<f32>]) -> Projection {
    let dim = rows.first().map_or(0, Vec::len);
    let n = rows.len().max(1) as f64;
    let mut mean = vec![0.0f64; dim];
    for row in rows {
        for (m, &v) in mean.iter_mut().zip(row) {
            *m += f64::from(v) / n;
        }
    }
    let mut centred: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .zip(&mean)
                .map(|(&v, m)| f64::from(v) - m)
                .collect()
        })
        .collect();
    let total: f64 = centred.iter().flatten().map(|v| v * v).sum();
    let mut points = vec![[0.0; 2]; rows.len()];
    let mut explained = [0.0; 2];
    for axis in 0..2 {
        let Some(direction) = leading_direction(&centred, dim) else {
            break;
        };
        let mut along = 0.0;
        for (row, point) in centred.iter_mut().zip(&mut points) {
            let coordinate = dot(row, &direction);
            point[axis] = coordinate;
            along += coordinate * coordinate;
            for (v, d) in row.iter_mut().zip(&direction) {
                *v -= coordinate * d;
            }
        }
        explained[axis] = along / total;
    }
    Projection { points, explained }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Returns the unit vector of most variance, or `None` if nothing varies.
fn leading_direction(rows: &[Vec<f64>], dim: usize) -> Option<Vec<f64>> {
    // Start at the longest row: it cannot be orthogonal to every direction of variance.
    let start = rows
        .iter()
        .max_by(|a, b| dot(a, a).total_cmp(&dot(b, b)))?
        .clone();
    let mut direction = unit(start)?;
    for _ in 0..300 {
        let mut next = vec![0.0; dim];
        for row in rows {
            let along = dot(row, &direction);
            for (n, v) in next.iter_mut().zip(row) {
                *n += along * v;
            }
        }
        let next = unit(next)?;
        let settled = 1.0 - dot(&next, &direction).abs() < 1e-13;
        direction = next;
        if settled {
            break;
        }
    }
    let largest = direction
        .iter()
        .copied()
        .max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
    if largest < 0.0 {
        for v in &mut direction {
            *v = -*v;
        }
    }
    Some(direction)
}

fn unit(mut v: Vec<f64>) -> Option<Vec<f64>> {
    let length = dot(&v, &v).sqrt();
    (length > 1e-12).then(|| {
        for x in &mut v {
            *x /= length;
        }
        v
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_axes_of_an_ellipse() {
        // Lengths 5 and 2 along (0.6, 0.8, 0) and (-0.8, 0.6, 0), off-centre.
        let at = |a: f32, b: f32| vec![1.0 + 0.6 * a - 0.8 * b, 2.0 + 0.8 * a + 0.6 * b, 3.0];
        let rows = [at(5.0, 0.0), at(-5.0, 0.0), at(0.0, 2.0), at(0.0, -2.0)];
        let Projection { points, explained } = principal_components(&rows);
        assert!((points[0][0] - 5.0).abs() < 1e-5 && points[0][1].abs() < 1e-5);
        assert!((points[2][1].abs() - 2.0).abs() < 1e-5 && points[2][0].abs() < 1e-5);
        assert!((explained[0] - 50.0 / 58.0).abs() < 1e-6);
        assert!((explained[1] - 8.0 / 58.0).abs() < 1e-6);
    }

    #[test]
    fn without_variance_everything_is_at_the_origin() {
        let same = principal_components(&[vec![1.0, 2.0], vec![1.0, 2.0]]);
        assert_eq!(same.points, [[0.0; 2]; 2]);
        assert_eq!(principal_components(&[]).points.len(), 0);
    }
}
