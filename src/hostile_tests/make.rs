//! Makes archives that no packer would.

use flate2::write::DeflateEncoder;
use flate2::{Compress, Compression, FlushCompress};
use tar::{EntryType, Header};

/// A member of a zip; what it says of itself need not be true.
pub struct Member {
    pub name: Vec<u8>,
    pub mode: u32,
    pub flags: u16,
    /// 0 for stored, 8 for deflated.
    pub method: u16,
    /// As it lies in the zip.
    pub packed: Vec<u8>,
    pub crc: u32,
    pub size: u32,
    pub extra: Vec<u8>,
    /// The number of the member whose bytes it takes for its own.
    pub shares: Option<usize>,
}

impl Member {
    pub fn stored(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let (content, mut crc) = (content.as_ref(), flate2::Crc::new());
        crc.update(content);
        Self {
            name: name.as_ref().to_vec(),
            mode: 0o100_644,
            flags: 0,
            method: 0,
            packed: content.to_vec(),
            crc: crc.sum(),
            size: content.len() as u32,
            extra: Vec::new(),
            shares: None,
        }
    }

    pub fn deflated(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut encoder, content.as_ref()).unwrap();
        Self { method: 8, packed: encoder.finish().unwrap(), ..Self::stored(name, content) }
    }

    /// A member whose deflated bytes are given.
    pub fn raw(name: impl AsRef<[u8]>, packed: Vec<u8>) -> Self {
        Self { method: 8, packed, ..Self::stored(name, b"") }
    }
}

pub fn zip(members: &[Member]) -> Vec<u8> {
    let (mut bytes, mut directory, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        let start = member.shares.map_or(bytes.len() as u32, |index| starts[index]);
        starts.push(start);
        let mut common = shorts(&[20, member.flags, member.method, 0, 0]);
        let packed = member.shares.map_or(&member.packed, |index| &members[index].packed);
        common.extend(longs(&[member.crc, packed.len() as u32, member.size]));
        common.extend(shorts(&[member.name.len() as u16]));
        if member.shares.is_none() {
            bytes.extend([b"PK\x03\x04", &common[..], &shorts(&[0]), &member.name, packed].concat());
        }
        directory.extend([b"PK\x01\x02", &shorts(&[0x0314])[..], &common].concat());
        directory.extend(shorts(&[member.extra.len() as u16, 0, 0, 0]));
        directory.extend(longs(&[member.mode << 16, start]));
        directory.extend([&member.name[..], &member.extra].concat());
    }
    let (start, size, count) = (bytes.len() as u32, directory.len() as u32, members.len() as u16);
    bytes.extend(directory);
    bytes.extend(end(count, size, start));
    bytes
}

/// The record at the end of a zip.
pub fn end(count: u16, size: u32, start: u32) -> Vec<u8> {
    [b"PK\x05\x06", &shorts(&[0, 0, count, count])[..], &longs(&[size, start]), &shorts(&[0])].concat()
}

pub fn shorts(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn longs(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Deflated zeros, a thousandth of their size, with a start of their own.
pub fn zeros(start: &[u8], mebibytes: usize) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut pack = |content: &[u8]| {
        let mut out = Vec::with_capacity(content.len() + 1000);
        compress.compress_vec(content, &mut out, FlushCompress::Full).unwrap();
        out
    };
    let block = vec![0; 1 << 20];
    let (mut bytes, zeros) = (pack(start), pack(&block));
    (0..mebibytes).for_each(|_| bytes.extend(&zeros));
    bytes.extend(LAST);
    bytes
}

/// The last block, with nothing in it.
const LAST: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// Deflated nothing, in blocks that are stored.
pub fn empty_blocks(length: usize) -> Vec<u8> {
    let mut bytes = [0, 0, 0, 0xff, 0xff].repeat(length / 5);
    bytes.extend(LAST);
    bytes
}

/// Deflated nothing, in blocks that each bring their own code.
pub fn empty_codes(length: usize) -> Vec<u8> {
    let mut bits = Vec::new();
    // Eight blocks end at a whole byte.
    for _ in 0..8 {
        let mut put = |value: u32, count: u32| bits.extend((0..count).map(|at| value >> at & 1 == 1));
        // Not the last, with a code: 257 symbols and one distance, whose lengths are written with 18 codes.
        put(0, 1);
        put(2, 2);
        put(0, 5);
        put(0, 5);
        put(14, 4);
        // The codes for "many zeros" (third in the order) and for "one" (eighteenth).
        (0..18).for_each(|index| put(u32::from(index == 2 || index == 17), 3));
        // 138 zeros, 118 zeros, the end's length, the distance's length, the end.
        put(1, 1);
        put(127, 7);
        put(1, 1);
        put(107, 7);
        put(0, 3);
    }
    let bytes: Vec<u8> =
        bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect();
    let mut bytes = bytes.repeat(length / bytes.len());
    bytes.extend(LAST);
    bytes
}

/// Deflated bytes as a gzip file, whose checksum is wrong.
pub fn gzip(deflated: &[u8]) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], deflated, &[0; 8]].concat()
}

/// A gzip file of these bytes.
pub fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A member of a tar archive of this kind, and its header alone.
pub fn entry(kind: EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    let padding = content.len().next_multiple_of(512) - content.len();
    [&header(kind, name, content.len() as u64)[..], content, &vec![0; padding]].concat()
}

/// A header that has been changed, with the checksum that it then needs.
fn sealed(mut header: Vec<u8>) -> Vec<u8> {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

pub fn header(kind: EntryType, name: &str, size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Packed tar archives that cost much, whatever is looked for in them. `name` is that, and `good` a member with it.
pub fn tarballs(name: &'static str, good: fn() -> Vec<u8>) -> Vec<super::Shape> {
    use super::Shape;
    let large = move |kind: EntryType, size: u64, gibibytes: usize| {
        Shape::file(Box::leak(format!("{kind:?} of {size} bytes, {gibibytes} GiB").into_boxed_str()), move || {
            gzip(&zeros(&header(kind, "x", size), gibibytes << 10))
        })
    };
    let mut shapes = vec![
        Shape::file("good", move || packed(&good())),
        Shape::file("empty", Vec::new),
        Shape::file("no archive", || b"no archive".to_vec()),
        Shape::file("cut off", move || packed(&good())[..30].to_vec()),
        Shape::file("zeros", || gzip(&zeros(b"", 4 << 10))),
        Shape::file("zeros after the end", move || gzip(&zeros(&[0; 1024], 2 << 10))),
        Shape::file("empty blocks", || gzip(&empty_blocks(7 << 20))),
        Shape::file("empty codes", || gzip(&empty_codes(7 << 20))),
        Shape::file("a gzip file's name of 7 MiB", || {
            [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], &vec![b'x'; 7 << 20][..]].concat()
        }),
        Shape::file("a gzip file's name without end", || [0x1f, 0x8b, 8, 12, 0, 0, 0, 0, 0, 3, 0xff, 0xff].repeat(9)),
        Shape::file("a gzip file of gzip files", move || packed(&packed(&gzip(&zeros(b"", 1 << 10))))),
        Shape::file("many members", || packed(&entry(EntryType::Regular, "a/b/c", b"").repeat(100_000))),
        Shape::file("many directories", || packed(&entry(EntryType::Directory, "a/b/c/", b"").repeat(9_999))),
        Shape::file("many long names", || packed(&entry(EntryType::GNULongName, "x", b"long").repeat(50_000))),
        Shape::file("long names that name long names", || {
            let member = entry(EntryType::GNULongName, "././@LongLink", &[b'x'; 60_000]);
            packed(&member.repeat(500))
        }),
        Shape::file("a PAX header of 60 MB", || {
            let content = vec![b'1'; 60_000_000];
            packed(&entry(EntryType::XHeader, "x", &content))
        }),
        Shape::file("PAX headers of many lines", || {
            packed(&entry(EntryType::XHeader, "x", &b"12 path=abc\n".repeat(1_000_000)))
        }),
        Shape::file("sparse", move || {
            let mut sparse = header(EntryType::GNUSparse, name, 0);
            // A map of one piece at 2^62, and more maps that follow.
            sparse[386..398].copy_from_slice(b"377777777777");
            sparse[482] = 1;
            packed(&sealed(sparse).repeat(1000))
        }),
        Shape::file("a negative size", move || {
            let mut negative = header(EntryType::Regular, "x", 0);
            negative[124..136].copy_from_slice(&[0xff; 12]);
            packed(&sealed(negative))
        }),
        Shape::file("links of the right name", move || packed(&entry(EntryType::Symlink, name, b"").repeat(900))),
        Shape::file("a name that is no text", move || {
            let mut odd = header(EntryType::Regular, "x", 0);
            odd[0..99].copy_from_slice(&[0xff; 99]);
            packed(&sealed(odd).repeat(900))
        }),
    ];
    shapes.extend([
        large(EntryType::Regular, 8 << 30, 4),
        large(EntryType::GNULongName, 4 << 30, 4),
        large(EntryType::GNULongLink, 1 << 30, 2),
        large(EntryType::XHeader, 2 << 30, 2),
        large(EntryType::XGlobalHeader, 2 << 30, 2),
        large(EntryType::Regular, u64::MAX >> 1, 1),
    ]);
    shapes
}
