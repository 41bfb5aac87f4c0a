use super::*;

#[test]
fn exp_is_close_to_the_c_library() {
    let mut worst = 0.0f64;
    for step in -86_990..87_990 {
        let x = step as f32 * 1e-3;
        let want = f64::from(x).exp();
        for got in [exp::<false>(x), exp::<true>(x)] {
            worst = worst.max((f64::from(got) - want).abs() / want);
        }
    }
    assert!(worst < 2.5e-7, "{worst:e}");
    assert!(exp::<false>(f32::NEG_INFINITY) < 1e-37);
}

#[test]
fn erf_is_close_to_known_values() {
    // From C's `erf`.
    let known = [
        (0.0, 0.0),
        (1e-3, 0.001_128_378_790_969_236_4),
        (0.1, 0.112_462_916_018_284_89),
        (0.5, 0.520_499_877_813_046_5),
        (1.0, 0.842_700_792_949_714_9),
        (1.7, 0.983_790_458_590_774_6),
        (2.5, 0.999_593_047_982_555),
        (3.5, 0.999_999_256_901_627_7),
        (6.0, 1.0),
    ];
    for (x, want) in known {
        for got in [erf::<false>(x), erf::<true>(x), -erf::<true>(-x)] {
            assert!((f64::from(got) - want).abs() < 4e-7, "erf({x}) = {got}, not {want}");
        }
    }
}

#[test]
fn norms_match_their_formulas() {
    let x: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin() * 3.0 + 0.5).collect();
    let weight: Vec<f32> = (0..37).map(|i| 1.0 + i as f32 * 0.01).collect();
    let bias: Vec<f32> = (0..37).map(|i| i as f32 * 0.1).collect();
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / 37.0;
    let square = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 37.0;
    let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / 37.0;

    let mut rms = vec![0.0; 37];
    rms_norm(&x, &weight, 1e-5, &mut rms);
    let mut layer = x.clone();
    layer_norm(&mut layer, &weight, &bias, 1e-5);
    for i in 0..37 {
        let (x, weight, bias) = (f64::from(x[i]), f64::from(weight[i]), f64::from(bias[i]));
        assert!((f64::from(rms[i]) - x / (square + 1e-5).sqrt() * weight).abs() < 1e-5);
        assert!((f64::from(layer[i]) - ((x - mean) / (variance + 1e-5).sqrt() * weight + bias)).abs() < 1e-5);
    }
}
