//! Whether the bytes of an image are all there, for formats whose decoders fill in what is missing.

/// Why an image is not whole; `None` if it is, or if its decoder says so itself.
pub(crate) fn cut_off(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xff, 0xd8]) {
        return (!jpeg_ends(bytes)).then_some("a JPEG without its end-of-image marker");
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        let declared = bytes.get(4..8).and_then(|size| size.try_into().ok()).map_or(0, u32::from_le_bytes);
        // The last byte may be padding, which some programs leave out.
        return (u64::from(declared) + 8 > bytes.len() as u64 + 1).then_some("a WebP shorter than its header says");
    }
    None
}

/// Goes from marker to marker. Segments are skipped by their length (a preview in one has an end of its own); within a scan,
/// 0xff is followed by 0 or by the number of a restart.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) else {
            return false;
        };
        at += found;
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        let Some(&marker) = bytes.get(at) else { return false };
        at += 1;
        match marker {
            0xd9 => return true,
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => match bytes.get(at..at + 2) {
                Some(length) => at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2),
                None => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_inside_a_segment_is_not_the_end() {
        let preview = [0xff, 0xd8, 0xff, 0xd9];
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe1, 0, 6];
        jpeg.extend(preview);
        jpeg.extend([0xff, 0xda, 0, 3, 1, 0x12, 0xff, 0x00, 0x34, 0xff, 0xd0, 0x56]);
        assert!(cut_off(&jpeg).is_some());
        jpeg.extend([0xff, 0xd9]);
        assert_eq!(cut_off(&jpeg), None);
        jpeg.extend(b"what a camera appends");
        assert_eq!(cut_off(&jpeg), None);
        assert!((2..jpeg.len() - 23).all(|len| cut_off(&jpeg[..len]).is_some()));
    }

    #[test]
    fn a_webp_is_as_long_as_it_says() {
        let webp = [b"RIFF".as_slice(), &8u32.to_le_bytes(), b"WEBP1234"].concat();
        assert_eq!(cut_off(&webp), None);
        assert_eq!(cut_off(&webp[..15]), None, "padding");
        assert!(cut_off(&webp[..14]).is_some());
    }
}
