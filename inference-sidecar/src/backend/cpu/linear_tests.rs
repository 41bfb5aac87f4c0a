use super::*;

fn wave(count: usize, speed: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * speed).sin()).collect()
}

type Form = fn(&[f32], &[f32], usize, Option<&[f32]>, &Parts<'_>, usize, usize);

/// Every form against sums in f64, for full and partial groups of rows and columns.
#[test]
fn every_form_is_the_product() {
    let mut forms: Vec<Form> = vec![product_body::<Plain>, product];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        forms.push(product_body::<Avx2>);
    }
    let cols = 80;
    for rows in 1..8 {
        for count in [1, 2, 3, 5, 16] {
            let (x, w, bias) = (wave(rows * cols, 0.37), wave(count * cols, 0.73), wave(count, 1.1));
            for form in &forms {
                // Two columns before and one after, which must stay as they are.
                let width = count + 3;
                let mut out = vec![9.0; rows * width];
                form(&x, &w, cols, Some(&bias), &Parts::of(&mut out), width, 2);
                for (m, out) in out.chunks_exact(width).enumerate() {
                    for n in 0..count {
                        let terms = x[m * cols..][..cols].iter().zip(&w[n * cols..][..cols]);
                        let want: f64 = terms.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                        assert!((f64::from(out[n + 2] - bias[n]) - want).abs() < 1e-4, "{rows} x {count}");
                    }
                    assert_eq!([out[0], out[1], out[width - 1]], [9.0; 3]);
                }
            }
        }
    }
}
