use proptest::prelude::*;

use super::*;

/// A writer of small files, as ggml's document lays them out.
#[derive(Default)]
struct File(Vec<u8>);

impl File {
    fn new(tensors: u64, values: u64) -> Self {
        let mut file = Self(b"GGUF".to_vec());
        file.u32(3).u64(tensors).u64(values);
        file
    }

    fn u32(&mut self, n: u32) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn u64(&mut self, n: u64) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    /// One tensor's entry; `shape` as ggml writes it, innermost first.
    fn tensor(&mut self, name: &str, shape: &[u64], kind: u32, offset: u64) -> &mut Self {
        self.text(name).u32(shape.len() as u32);
        shape.iter().for_each(|&size| {
            self.u64(size);
        });
        self.u32(kind).u64(offset)
    }

    fn data(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(32), 0);
        self.0.extend(bytes);
        self
    }

    fn open(&self) -> Result<(Metadata, Weights), EngineError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.0).unwrap();
        open(file.path())
    }

    fn fault(&self) -> String {
        self.open().err().unwrap().to_string()
    }
}

fn good() -> File {
    let mut file = File::new(1, 4);
    file.text("a.text").u32(8).text("héllo");
    file.text("a.number").u32(4).u32(7);
    file.text("a.list").u32(9).u32(5).u64(2).u32(1).u32(u32::MAX);
    file.text("a.flag").u32(7).0.push(1);
    file.tensor("w", &[2, 3], 0, 0);
    file.data(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat());
    file
}

#[test]
fn a_file_is_read() {
    let (meta, weights) = good().open().unwrap();
    assert_eq!(meta.text("a.text").unwrap(), Some("héllo"));
    assert_eq!(meta.unsigned("a.number").unwrap(), Some(7));
    assert_eq!(meta.flag("a.flag").unwrap(), Some(true));
    assert_eq!(meta.float("a.nothing").unwrap(), None);
    let number = |value: &Value| if let Value::Signed(n) = value { Some(*n) } else { None };
    assert_eq!(meta.list("a.list", "numbers", number).unwrap(), Some(vec![1, -1]));
    assert!(meta.unsigned("a.text").unwrap_err().to_string().ends_with("a.text is not a whole number"));
    assert!(meta.need("b", meta.text("b")).unwrap_err().to_string().ends_with("metadata b is missing"));

    let tensor = weights.get("w", &[3, 2]).unwrap();
    assert_eq!(tensor.to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!((tensor.rows(), tensor.cols(), tensor.row_bytes(1..2).len()), (3, 2, 8));
    assert!(weights.get("w", &[2, 3]).err().unwrap().to_string().contains("the model's config asks for [2, 3]"));
    assert!(weights.get("v", &[1]).err().unwrap().to_string().contains("tensor v is missing"));
}

#[test]
fn faults_are_named() {
    assert!(File(b"GGML".to_vec()).fault().contains("not a GGUF file"));
    assert!(File(b"GGUF\x03\0\0".to_vec()).fault().contains("cut short"));
    assert!(File(b"GGUF\x00\x00\x00\x03".to_vec()).fault().contains("version 50331648 is not supported"));
    let tensor = |shape: &[u64], kind, offset| {
        let mut file = File::new(1, 0);
        file.tensor("w", shape, kind, offset).data(&[0; 64]);
        file.fault()
    };
    assert!(tensor(&[256], 16, 0).contains("tensor w: stored as an IQ form (type 16), which is not supported"));
    assert!(tensor(&[33], 8, 0).contains("rows of 33 values are not whole Q8_0 blocks of 32"));
    assert!(tensor(&[17], 0, 0).contains("are not within the file's"));
    assert!(tensor(&[1], 0, u64::MAX).contains("offset cannot be right"));
    assert!(tensor(&[u64::MAX, 2], 0, 0).contains("cannot be right"));
    assert!(tensor(&[1; 5], 0, 0).contains("5 dimensions"));
}

/// Counts of what is not there are refused when the bytes run out, without an allocation for them.
#[test]
fn huge_counts_are_refused() {
    assert!(File::new(u64::MAX, 0).fault().contains("cut short"));
    assert!(File::new(0, u64::MAX).fault().contains("cut short"));
    let mut file = File::new(0, 1);
    file.text("a").u32(9).u32(10).u64(u64::MAX);
    assert!(file.fault().contains("cut short"));
    let mut file = File::new(0, 1);
    file.u64(u64::MAX);
    assert!(file.fault().contains("cut short"));
}

proptest! {
    #[test]
    fn any_cut_is_refused(cut in 0usize..1000) {
        let File(mut bytes) = good();
        bytes.truncate(cut % bytes.len());
        prop_assert!(File(bytes).open().is_err());
    }

    #[test]
    fn wrong_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let File(mut bytes) = good();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok((meta, weights)) = File(bytes).open() {
            let _ = crate::model::config::decoder_from_gguf(&meta, &weights);
            let _ = crate::tokenizer::from_gguf(&meta);
            let _ = weights.get("w", &[3, 2]).map(|tensor| tensor.to_f32());
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = File([b"GGUF\x03\0\0\0".as_slice(), &noise].concat()).open();
    }
}
