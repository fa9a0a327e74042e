//! The hash by which replicas compare their rows: the sum of a hash per row, so that order does not matter.
//! Knows nothing of which rows count.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The hash of one row; the same in every version of this program.
pub fn row_hash(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x6f72_6320_726f_7773, 0x6172_6520_616c_696b);
    hasher.write(key);
    hasher.write(value);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        assert_eq!(row_hash(b"key", b"value"), 10_868_039_370_324_895_078);
    }
}
