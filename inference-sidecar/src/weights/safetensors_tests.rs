use proptest::prelude::*;

use super::*;

fn bytes(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn open_bytes(bytes: &[u8]) -> Result<Weights, EngineError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    open(folder.path())
}

const HEADER: &str = r#"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"ids":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]}}"#;

fn good() -> Vec<u8> {
    let data = [&1.0f32.to_le_bytes()[..], &2.0f32.to_le_bytes(), &[0; 8], &[0x80, 0x3f, 0, 0xc0]].concat();
    bytes(HEADER, &data)
}

#[test]
fn a_folder_is_read_whole_or_in_parts() {
    let weights = open_bytes(&good()).unwrap();
    assert_eq!(weights.get("a", &[1, 2]).unwrap().to_f32(), [1.0, 2.0]);
    assert_eq!(weights.get("b", &[2]).unwrap().to_f32(), [1.0, -2.0]);
    assert!(!weights.contains("ids"));

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("part-1.safetensors"), good()).unwrap();
    let index = r#"{"weight_map":{"a":"part-1.safetensors","b":"part-1.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    assert_eq!(open(folder.path()).unwrap().get("b", &[2]).unwrap().to_f32(), [1.0, -2.0]);
}

#[test]
fn faults_are_named() {
    let fault = |bytes: &[u8]| open_bytes(bytes).err().unwrap().to_string();
    assert!(fault(&good()[..20]).contains("not a sound safetensors file"));
    assert!(fault(&u64::MAX.to_le_bytes()).contains("not a sound safetensors file"));
    assert!(fault(&bytes(&HEADER.replace("F32", "F64").replace("[0,8]", "[0,16]"), &[0; 20])).contains("sound"));
    let eight_bit = r#"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#;
    assert!(
        fault(&bytes(eight_bit, &[0; 4])).contains("tensor a is stored as F8_E4M3; F32, F16 and BF16 are supported")
    );

    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path()), Err(EngineError::Read { .. })));
    let index = r#"{"weight_map":{"a":"../elsewhere.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    assert!(open(folder.path()).err().unwrap().to_string().contains("is not a file name"));
}

proptest! {
    #[test]
    fn wrong_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = good();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(weights) = open_bytes(&bytes) {
            let _ = weights.get("a", &[1, 2]).map(|tensor| tensor.to_f32());
        }
    }

    #[test]
    fn any_cut_is_refused(cut in any::<prop::sample::Index>()) {
        let bytes = good();
        prop_assert!(open_bytes(&bytes[..cut.index(bytes.len())]).is_err());
    }
}
